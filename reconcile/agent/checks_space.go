package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// DefaultKeepFree is what stays free of every storage for undoing, where the
// host's configuration names no other floor. The disks of images have the same.
const DefaultKeepFree = drivers.DefaultKeepFree

// growth is how much of a cheap clone is expected to be written anew before what
// it was made from goes: a tenth. A wrong guess is no accident: a full storage
// holds the next upgrade, and what serves goes on within the floor.
const growth = 10

// checkSpace proves that a volume's storage has room for what the attempt writes,
// and the host's floor besides. A full one is nobody's release: it is waited for.
func (x *executor) checkSpace(ctx context.Context, c reconcile.CheckOrder) (string, error) {
	var v plans.Volume
	if c.Spec != nil {
		v = *c.Spec
	}
	st, err := x.storage(v)
	if err != nil {
		return "", refused(err.Error(), "name a volume driver this host has")
	}
	free, err := st.Free(ctx, v)
	if err != nil {
		return "", err
	}
	var need int64
	sizes := map[string]int64{}
	for _, id := range c.Copies {
		if _, known := sizes[id]; known {
			continue
		}
		if sizes[id], err = st.Written(ctx, id, ""); err != nil {
			return "", err
		}
	}
	for i, id := range c.Copies {
		switch cheap := st.Traits().CheapClone; {
		case !cheap:
			need += sizes[id]
		case i == 0:
			need += sizes[id] / growth
		}
	}
	if free < need+x.keepFree {
		return "", &observed.Problem{Class: observed.Environment,
			Text: fmt.Sprintf("%s free for volume %s, %s needed: %s for its copies and a floor of %s kept free for undoing",
				Size(free), c.Volume, Size(need+x.keepFree), Size(need), Size(x.keepFree)),
			Hint: "free some space (`reconcile data TENANT` says what takes it), or lower keepFree in this host's configuration; it goes on by itself"}
	}
	return fmt.Sprintf("%s free, %s needed and %s kept free", Size(free), Size(need), Size(x.keepFree)), nil
}

// checkData proves that the data of what serves are there, so that there is
// something to go back to.
func (x *executor) checkData(ctx context.Context, tenant string, c reconcile.CheckOrder) (string, error) {
	st, err := x.storage(plans.Volume{Driver: c.Driver}, c.Dataset)
	if err != nil {
		return "", refused(err.Error(), "name a volume driver this host has")
	}
	const op = "look at data"
	all, err := st.Observe(ctx, tenant)
	dark, err := partly(st, op, err)
	if err != nil {
		return "", observed.Wrap(op, c.Dataset, observed.Environment, err, "")
	}
	if len(dark.why) > 0 {
		if why := dark.why[dark.PartOf(c.Dataset)]; why != nil {
			return "", why
		}
	}
	for i := range all {
		switch d := &all[i]; {
		case d.ID != c.Dataset:
		case d.Problem != nil:
			return "", d.Problem
		case !d.Ready:
			return "", errors.New(c.Dataset + " is not whole")
		default:
			return c.Dataset + " is there", nil
		}
	}
	return "", refused("the data of volume "+c.Volume+" ("+c.Dataset+") are not there", "reconcile data "+tenant+" says what is")
}
