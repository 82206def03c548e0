package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

const spaceHint = "free some space (`reconcile data TENANT` says what takes it), or lower keepFree in this host's configuration; it goes on by itself"

// storeroom is one storage, or one filesystem or pool of it, and what an attempt
// needs of it.
type storeroom struct {
	name    string
	volumes []string // that need some, in order
	need    int64    // for copies
	free    int64    // of the volume that may take most of it
}

// checkSpace proves that every storage has room for all that the attempt writes to
// it, beside what others were promised there, and the host's floor besides. A full
// one is nobody's release: it is waited for.
func (x *executor) checkSpace(ctx context.Context, tenant string, c reconcile.CheckOrder) (text string, free map[string]int64, err error) {
	stores, err := x.storerooms(ctx, c.Rooms)
	if err != nil {
		return "", nil, err
	}
	free = map[string]int64{}
	needs := map[string]int64{}
	var lines, short []string
	for _, s := range stores {
		others := x.rooms.others(tenant, s.name, x.now())
		line := s.text(others, x.keepFree)
		lines = append(lines, line)
		above := c.Above[s.name]
		above += above / crampedMargin
		switch {
		case s.free < s.need+others+x.keepFree:
			short = append(short, line)
		case s.need > 0 && c.Above[s.name] > 0 && s.free <= above:
			short = append(short, line+"; the last try ran out of room with "+Size(c.Above[s.name])+" free")
		}
		free[s.name], needs[s.name] = s.free, s.need
	}
	if len(short) > 0 {
		return "", free, &observed.Problem{Class: observed.Environment, Full: true, Text: strings.Join(short, "; "),
			Hint: spaceHint}
	}
	x.rooms.promise(tenant, needs, x.now())
	return strings.Join(lines, "; "), free, nil
}

// crampedMargin is the part of what was free and not enough that must be free
// more: a twentieth, so that a log file that was rotated is no reason to try again.
const crampedMargin = 20

func (s *storeroom) text(others, floor int64) string {
	text := fmt.Sprintf("%s free on %s, %s needed: ", Size(s.free), s.name, Size(s.need+others+floor))
	if len(s.volumes) > 0 {
		text += fmt.Sprintf("%s for the copies of %s, ", Size(s.need), strings.Join(s.volumes, " and "))
	}
	if others > 0 {
		text += fmt.Sprintf("%s promised to others that move, ", Size(others))
	}
	return text + fmt.Sprintf("a floor of %s kept free for undoing", Size(floor))
}

// storerooms adds up what volumes need, by where they are.
func (x *executor) storerooms(ctx context.Context, rooms []reconcile.Room) ([]*storeroom, error) {
	var all []*storeroom
	for _, r := range rooms {
		st, err := x.storage(r.Spec)
		if err != nil {
			return nil, refused(err.Error(), "name a volume driver this host has")
		}
		free, err := st.Free(ctx, r.Spec)
		if err != nil {
			return nil, err
		}
		need, err := roomFor(ctx, st, r.Copies)
		if err != nil {
			return nil, err
		}
		if free < need+x.keepFree { // by a quota of its own, perhaps
			return nil, &observed.Problem{Class: observed.Environment, Full: true,
				Text: fmt.Sprintf("%s free for volume %s, %s needed: %s for its copies and a floor of %s kept free for undoing",
					Size(free), r.Volume, Size(need+x.keepFree), Size(need), Size(x.keepFree)),
				Hint: spaceHint}
		}
		name := st.Traits().Name
		switch p := st.(type) {
		case drivers.Parted:
			name += " " + p.Part(r.Spec)
		case drivers.Pooled:
			pool, err := p.Pool(ctx, r.Spec)
			if err != nil {
				return nil, err
			}
			name += " " + pool
		}
		n := slices.IndexFunc(all, func(s *storeroom) bool { return s.name == name })
		if n < 0 {
			n, all = len(all), append(all, &storeroom{name: name})
		}
		s := all[n]
		s.need, s.free = s.need+need, max(s.free, free)
		if need > 0 {
			s.volumes = append(s.volumes, r.Volume)
		}
	}
	return all, nil
}

// roomFor is what copies of datasets take.
func roomFor(ctx context.Context, st drivers.Storage, copies []string) (need int64, err error) {
	sizes := map[string]int64{}
	for i, id := range copies {
		if _, known := sizes[id]; !known {
			if sizes[id], err = st.Written(ctx, id, ""); err != nil {
				return 0, err
			}
		}
		switch cheap := st.Traits().CheapClone; {
		case !cheap:
			need += sizes[id]
		case i == 0:
			need += sizes[id] / growth
		}
	}
	return need, nil
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
