package zfs

import (
	"context"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// SetRole implements drivers.Storage. The name stays: it is the dataset's
// identity, and what is mounted stays mounted.
func (d *Driver) SetRole(ctx context.Context, _ string, dataset string, role observed.Role, slot plans.Slot) error {
	const op = "set role"
	e, err := d.there(ctx, op, dataset)
	if err != nil {
		return err
	}
	if e.snapshot() || role == observed.Origin {
		return refused(op, dataset, "a snapshot stays one, and nothing becomes one", "")
	}
	if e.local(markRole) == string(role) && slotOf(e.local(markSlot)) == slot {
		return nil
	}
	_, err = d.zfs(ctx, poolOf(dataset), "set", markRole+"="+string(role), markSlot+"="+slotMark(slot), dataset)
	return problem(op, dataset, err)
}
