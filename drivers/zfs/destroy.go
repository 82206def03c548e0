package zfs

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"
)

// Destroy implements drivers.Storage. It names who stands in the way before ZFS
// would refuse without a name, and never asks for more than the one dataset:
// no -r, no -R, no -f.
func (d *Driver) Destroy(ctx context.Context, _ string, dataset string) error {
	const op = "destroy"
	if d.root(dataset) == "" {
		return refused(op, dataset, "it is not below "+strings.Join(d.cfg.Roots, " or "), "look at drivers.zfs.roots of this host")
	}
	e, err := d.one(ctx, dataset)
	switch {
	case err != nil:
		return problem(op, dataset, err)
	case e == nil:
		return nil
	case e.snapshot():
		return d.destroySnapshot(ctx, e)
	case !d.ours(e):
		return refused(op, dataset, "it is not ours: it lacks this fleet's and node's marks", "look at it with `zfs get all "+dataset+"`")
	}
	if d.root(dataset) == dataset {
		return refused(op, dataset, "it is a root of drivers.zfs", "")
	}
	// With what lies beside it, where that is a tenant's own and not a whole root.
	around := parentOf(dataset)
	if d.root(around) == "" || d.root(around) == around {
		around = dataset
	}
	s, err := d.survey(ctx, []string{around}, few)
	if err != nil {
		return problem(op, dataset, err)
	}
	if below := s.hangs[dataset]; len(below) > 0 {
		slices.Sort(below)
		return refused(op, dataset, "there are snapshots or datasets below it: "+several(below),
			"ours go by their retention, or once a clone of them is promoted; who made the others removes them")
	}
	table, err := mounts()
	if err != nil {
		return problem(op, dataset, err)
	}
	at := placeOf(e)
	if who := at.user(table); who != "" {
		return refused(op, dataset, "it is "+who, "stop what uses it")
	}
	d.leaving(dataset, true)
	defer d.leaving(dataset, false)
	if e.zvol() {
		if err := d.unmount(ctx, e); err != nil {
			return problem(op, dataset, err)
		}
	}
	if err := d.remove(ctx, e); err != nil {
		if !d.cfg.Look {
			// What refuses to go has perhaps lost its mount. The error that counts
			// is the first.
			_ = d.mount(ctx, e)
		}
		return problem(op, dataset, err)
	}
	d.pool(dataset).known.gone(dataset)
	if strings.HasPrefix(at.point, d.cfg.Mounts+"/") {
		os.Remove(at.point) // left empty by what was mounted there
	}
	if around != dataset && len(s.hangs[around]) == 1 {
		d.clear(ctx, s.named[around])
	}
	return nil
}

// leaving says whether a dataset is being destroyed.
func (d *Driver) leaving(name string, is bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if is {
		d.going[name] = true
	} else {
		delete(d.going, name)
	}
}

// clear destroys a parent that we made, with nothing below it any more. Should
// somebody be using it again, ZFS refuses, and there is nothing to tell.
func (d *Driver) clear(ctx context.Context, parent *entry) {
	if parent != nil && parent.local(markParent) == yes && parent.local(markFleet) == d.cfg.Owner.Fleet && parent.local(markNode) == d.cfg.Owner.Node {
		_, _ = d.zfs(ctx, poolOf(parent.name), "destroy", parent.name)
	}
}

func (d *Driver) destroySnapshot(ctx context.Context, e *entry) error {
	const op = "destroy"
	switch {
	case !d.oursSnapshot(e):
		return refused(op, e.name, "it is not ours: somebody else took it", "")
	case len(e.clones()) > 0:
		return refused(op, e.name, "it is the origin of "+several(e.clones()), "promote or destroy that first")
	case e.number("userrefs") > 0:
		out, err := d.zfs(ctx, poolOf(e.name), "holds", "-H", e.name)
		if err != nil {
			return problem(op, e.name, err)
		}
		var tags []string
		for line := range strings.Lines(out) {
			if f := strings.SplitN(line, "\t", 3); len(f) == 3 {
				tags = append(tags, f[1])
			}
		}
		return refused(op, e.name, "it is held by "+several(tags), "ours are released when nothing needs it; another's: `zfs release TAG "+e.name+"`")
	}
	_, err := d.zfs(ctx, poolOf(e.name), "destroy", e.name)
	if says(err, "does not exist") || says(err, "could not find any snapshots") {
		err = nil
	}
	return problem(op, e.name, err)
}

// remove destroys one dataset. udev may have a zvol's device open for a moment
// after it was unmounted.
func (d *Driver) remove(ctx context.Context, e *entry) error {
	const tries = 8
	for n := 1; ; n++ {
		_, err := d.zfs(ctx, poolOf(e.name), "destroy", e.name)
		switch {
		case err == nil || says(err, "does not exist"):
			return nil
		case !e.zvol() || n == tries || !says(err, "dataset is busy"):
			return err
		}
		pause := time.NewTimer(100 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		}
	}
}

// several joins names for a sentence.
func several(names []string) string {
	const shown = 5
	if len(names) > shown {
		return strings.Join(names[:shown], ", ") + " and more"
	}
	return strings.Join(names, ", ")
}
