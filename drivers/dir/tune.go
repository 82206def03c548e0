package dir

import (
	"context"
	"errors"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Tune implements drivers.Storage. A directory has no quota and the like: what
// asks for one is refused rather than left undone without a word.
func (d *Driver) Tune(_ context.Context, _ string, dataset string, v plans.Volume) error {
	if _, err := d.find(dataset); err != nil {
		return err
	}
	if v.Tuning() == "" {
		return nil
	}
	return observed.Wrap("tune", dataset, observed.Refused, errors.New("driver dir cannot honour "+v.Tuning()),
		"remove these fields from the volume, or keep it with driver zfs")
}
