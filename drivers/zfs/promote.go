package zfs

import (
	"context"
	"errors"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// generations bounds how often a clone is promoted: once for each clone between
// it and what stands alone.
const generations = 16

// Promote implements drivers.Storage. The snapshot it came from and those before
// it become its own. A clone of a clone is promoted until it stands alone, and
// that it does is looked at, not assumed.
func (d *Driver) Promote(ctx context.Context, _ string, dataset string) error {
	const op = "promote"
	for range generations {
		e, err := d.there(ctx, op, dataset)
		if err != nil {
			return err
		}
		if e.snapshot() {
			return refused(op, dataset, "a snapshot cannot stand alone", "")
		}
		if e.origin() == "" {
			return nil
		}
		from, err := d.one(ctx, parentOf(e.origin()))
		if err != nil {
			return problem(op, dataset, err)
		}
		if !d.ours(from) {
			return refused(op, dataset, "it was cloned from "+e.origin()+", which is not ours: promoting it would take that dataset's snapshots away",
				"promote it by hand if that is meant: `zfs promote "+dataset+"`")
		}
		if _, err := d.zfs(ctx, poolOf(dataset), "promote", dataset); err != nil {
			return problem(op, dataset, err)
		}
	}
	return observed.Wrap(op, dataset, observed.Refused, errors.New("it is still a clone"), "look at its lineage: `zfs get origin`")
}
