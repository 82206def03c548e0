package zfs

import (
	"context"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
)

var _ drivers.VolumeChecker = (*Driver)(nil)

// CheckVolume implements drivers.VolumeChecker, so that a wrong source or a pool
// that is not there is told by the preflight and not in the middle of a change.
// The dataset of an import is not looked for: after the first upgrade it is gone.
func (d *Driver) CheckVolume(ctx context.Context, v plans.Volume) error {
	const op = "check"
	name := d.cfg.Roots[0]
	if v.Source != "" {
		var err error
		if name, err = d.source(op, drivers.VolumeOrder{Volume: v}); err != nil {
			return err
		}
	}
	if v.RecordSize != "" {
		if n, err := sizeOf(v.RecordSize); err != nil || n < 512 || n&(n-1) != 0 {
			return refused(op, name, "recordSize "+v.RecordSize+" is no power of two of at least 512", `write one such as "16K" or "1M"`)
		}
	}
	root := d.root(name)
	found, err := d.look(ctx, name, root)
	if err != nil {
		return problem(op, name, err)
	}
	for at := name; ; at = parentOf(at) {
		if e := found[at]; e != nil {
			if e.locked() {
				return problem(op, at, refusal{text: "its encryption key is not loaded"})
			}
			return nil
		}
		if at == root {
			return problem(op, root, rootless(root, refusal{text: "dataset does not exist"}))
		}
	}
}
