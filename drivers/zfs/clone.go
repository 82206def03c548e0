package zfs

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Clone implements drivers.Storage. Clone, marks and settings are one act, and
// what is cloned is whole; only its mount can be missing, which the next call
// or look does, and what zfs refused of what somebody set, which the next call
// gives it or marks.
func (d *Driver) Clone(ctx context.Context, _ string, snapshot string, want drivers.VolumeOrder, _ func(drivers.Progress)) (observed.Dataset, error) {
	const op = "clone"
	parent, err := d.source(op, want)
	if err != nil {
		return observed.Dataset{}, err
	}
	if want.Volume.Import {
		parent = parentOf(parent) // beside what was taken over
	}
	name := parent + "/" + leaf(want)
	of := parentOf(snapshot)
	switch {
	case badName(name) != "":
		return observed.Dataset{}, refused(op, name, "the name "+badName(name), "give the volume a source with a shorter name")
	case !strings.Contains(snapshot, "@") || badName(of) != "" || d.root(of) == "":
		return observed.Dataset{}, conflict(op, snapshot, "there is no such snapshot of ours")
	case poolOf(name) != poolOf(of):
		return observed.Dataset{}, refused(op, name, "a clone of "+snapshot+" can only be in pool "+poolOf(of), "give the volume a source in the pool its data are in")
	}
	found, err := d.look(ctx, snapshot, of, name, parent)
	if err != nil {
		return observed.Dataset{}, problem(op, snapshot, err)
	}
	from := found[snapshot]
	if !d.oursSnapshot(from) || !d.ours(found[of]) {
		return observed.Dataset{}, conflict(op, snapshot, "there is no such snapshot of ours")
	}
	d.pool(parent).known.made(want.Tenant, parent)
	switch e := found[name]; {
	case e == nil:
	case !d.ours(e):
		return observed.Dataset{}, foreign(op, name)
	case e.origin() != snapshot || e.local(markRole) != string(want.Role):
		return observed.Dataset{}, conflict(op, name, "it is there as "+e.local(markRole)+", made from "+made(e.origin())+" and not from "+snapshot)
	case e.local(markLacks) != "": // cut off in between, perhaps
		theirs, err := d.theirs(ctx, found[of])
		if err == nil {
			err = d.give(ctx, e, theirs)
		}
		if err != nil {
			return observed.Dataset{}, problem(op, name, err)
		}
		return d.finish(ctx, op, e, want)
	default:
		return d.finish(ctx, op, e, want)
	}
	size, err := d.suits(ctx, op, snapshot, found[of].zvol(), found[of].local(markKind), want.Volume)
	if err != nil {
		return observed.Dataset{}, problem(op, snapshot, err)
	}
	theirs, err := d.theirs(ctx, found[of])
	if err != nil {
		return observed.Dataset{}, problem(op, of, err)
	}
	if found[parent] == nil {
		if err := d.parents(ctx, &survey{named: found}, parent); err != nil {
			return observed.Dataset{}, problem(op, parent, err)
		}
	}
	props := d.cloned(found[of], name, want)
	if size > 0 {
		props["volsize"] = strconv.FormatUint(size, 10)
	}
	e, err := d.clone(ctx, snapshot, name, found[of], props, theirs)
	if err != nil {
		return observed.Dataset{}, problem(op, name, err)
	}
	d.pool(name).known.cloned(name, of)
	o, err := d.finish(ctx, op, e, want)
	o.Created = d.cfg.Now().UTC()
	return o, err
}

// clone makes the clone with what is ours and theirs. Where zfs refuses it so, it is
// made with ours alone, and given theirs as far as they can be had.
func (d *Driver) clone(ctx context.Context, snapshot, name string, of *entry, ours, theirs map[string]string) (*entry, error) {
	for ours := range ours {
		delete(theirs, ours)
	}
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	mounted, err := d.cloneWith(ctx, snapshot, name, all)
	// A quota that is smaller than the snapshot is told as a want of space.
	limited := theirs["quota"] != "" || theirs["refquota"] != ""
	without := len(theirs) > 0 && declined(err) || limited && says(err, "out of space")
	if without {
		all = maps.Clone(ours)
		all[markLacks] = strings.Join(slices.Sorted(maps.Keys(theirs)), ",")
		mounted, err = d.cloneWith(ctx, snapshot, name, all)
	}
	if err != nil {
		return nil, err
	}
	e := &entry{name: name, values: all, set: map[string]bool{}}
	for k := range all {
		e.set[k] = true
	}
	e.values["type"], e.values["origin"], e.values["mounted"] = of.value("type"), snapshot, "no"
	if mounted && !e.zvol() {
		e.values["mounted"] = yes
	}
	if without {
		return e, d.give(ctx, e, theirs)
	}
	return e, nil
}

// cloneWith says whether the clone was mounted, too.
func (d *Driver) cloneWith(ctx context.Context, snapshot, name string, props map[string]string) (mounted bool, err error) {
	_, err = d.zfs(ctx, poolOf(name), append(append([]string{"clone"}, options(props)...), snapshot, name)...)
	if says(err, "successfully created") { // and not mounted
		return false, nil
	}
	return err == nil, err
}

func made(origin string) string {
	if origin == "" {
		return "nothing"
	}
	return origin
}

// cloned are the properties of a clone of what the entry is.
func (d *Driver) cloned(of *entry, name string, want drivers.VolumeOrder) map[string]string {
	props := d.marks(want)
	props[markInside], props[markReady], props[markTuning] = of.local(markInside), yes, tuningMark(want.Volume)
	maps.Copy(props, settings(want.Volume, of.zvol()))
	if of.zvol() {
		props[markMount], props[markKind] = d.mountpoint(name), of.local(markKind)
	} else {
		props["mountpoint"], props["canmount"] = d.mountpoint(name), "on"
	}
	return props
}
