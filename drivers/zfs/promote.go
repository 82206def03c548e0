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
// it become its own, and with them what they came from: a clone of a clone is
// promoted until what it hung on last had stood alone.
func (d *Driver) Promote(ctx context.Context, _ string, dataset string) error {
	const op = "promote"
	for range generations {
		e, from, err := d.lineage(ctx, op, dataset)
		if err != nil {
			return err
		}
		if e.snapshot() {
			return refused(op, dataset, "a snapshot cannot stand alone", "")
		}
		if e.origin() == "" {
			return nil
		}
		if !d.ours(from) {
			return refused(op, dataset, "it was cloned from "+e.origin()+", which is not ours: promoting it would take that dataset's snapshots away",
				"promote it by hand if that is meant: `zfs promote "+dataset+"`")
		}
		if _, err := d.zfs(ctx, poolOf(dataset), "promote", dataset); err != nil {
			return problem(op, dataset, err)
		}
		d.pool(dataset).known.cloned(dataset, parentOf(from.origin()))
		if from.origin() == "" {
			return nil
		}
	}
	return observed.Wrap(op, dataset, observed.Refused, errors.New("it is still a clone"), "look at its lineage: `zfs get origin`")
}

// lineage returns a dataset of ours and what it was cloned from. What that was at
// the last look is asked for in the same command.
func (d *Driver) lineage(ctx context.Context, op, dataset string) (e, from *entry, err error) {
	guess := d.pool(dataset).known.origin(dataset)
	if guess == "" || d.root(dataset) == "" {
		if e, err = d.there(ctx, op, dataset); err != nil {
			return nil, nil, err
		}
	} else {
		found, err := d.look(ctx, dataset, guess)
		if err != nil {
			return nil, nil, problem(op, dataset, err)
		}
		if e = found[dataset]; !d.ours(e) {
			return nil, nil, conflict(op, dataset, "there is no such dataset of ours")
		}
		from = found[guess]
	}
	if of := parentOf(e.origin()); e.origin() != "" && (from == nil || from.name != of) {
		if from, err = d.one(ctx, of); err != nil {
			return nil, nil, problem(op, dataset, err)
		}
	}
	return e, from, nil
}
