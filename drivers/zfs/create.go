package zfs

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	gozfs "github.com/mistifyio/go-zfs/v3"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Create implements drivers.Storage. The dataset is made with its marks in one
// act; what follows (a filesystem on a zvol, the folder of the data) is done
// again by the next call until the mark says that it is whole.
func (d *Driver) Create(ctx context.Context, _ string, want drivers.VolumeOrder) (observed.Dataset, error) {
	const op = "create"
	ref := want.Tenant + "/" + want.Name
	parent, err := d.source(op, want)
	if err != nil {
		return observed.Dataset{}, err
	}
	s, err := d.survey(ctx, d.pool(parent).roots, datasetsOnly)
	if err != nil {
		return observed.Dataset{}, problem(op, ref, err)
	}
	if e := d.made(s, want); e != nil {
		if err := d.remark(ctx, op, e, want.Volume); err != nil {
			return observed.Dataset{}, problem(op, e.name, err)
		}
		return d.finish(ctx, op, e, want)
	}
	if want.Volume.Import {
		return d.adopt(ctx, s, parent, want)
	}
	name, err := d.unused(s, parent, want)
	if err != nil {
		return observed.Dataset{}, err
	}
	if err := d.parents(ctx, s, parent); err != nil {
		return observed.Dataset{}, problem(op, parent, err)
	}
	d.pool(parent).known.made(want.Tenant, parent)
	if err := d.make(ctx, name, want); err != nil {
		return observed.Dataset{}, problem(op, name, err)
	}
	e, err := d.there(ctx, op, name)
	if err != nil {
		return observed.Dataset{}, err
	}
	return d.finish(ctx, op, e, want)
}

// made finds what was made for the order before. Live data are found by any
// later attempt, but for fresh ones, of which each attempt has its own.
func (d *Driver) made(s *survey, want drivers.VolumeOrder) *entry {
	for _, e := range s.datasets {
		if !d.ours(e) || e.local(markTenant) != want.Tenant || e.local(markVolume) != want.Name ||
			slotOf(e.local(markSlot)) != want.Slot || e.local(markRole) != string(want.Role) {
			continue
		}
		if e.local(markAttempt) == want.Attempt || want.Volume.OnUpgrade != plans.Fresh && e.local(markReady) == yes {
			return e
		}
	}
	return nil
}

// unused returns the name of an order's new dataset. Data of another are never in
// our way without a word; data of ours that were given up are.
func (d *Driver) unused(s *survey, parent string, want drivers.VolumeOrder) (string, error) {
	first := parent + "/" + leaf(want)
	if why := badName(first); why != "" {
		return "", refused("create", first, "the name "+why, "give the volume a source with a shorter name")
	}
	for n, name := 2, first; ; n++ {
		e := s.named[name]
		switch {
		case e == nil:
			return name, nil
		case !d.ours(e):
			return "", foreign("create", name)
		}
		name = first + "-" + strconv.Itoa(n)
	}
}

func foreign(op, name string) error {
	return refused(op, name, "there is a dataset of this name that is not ours: it lacks this fleet's and node's marks",
		"look at it with `zfs get all "+name+"`; rename it, or take it over with `import: true` and `source: "+name+"`")
}

// parents makes the datasets between a root and where a volume is made. They hold
// nothing and are mounted nowhere.
func (d *Driver) parents(ctx context.Context, s *survey, name string) error {
	if s.named[name] != nil || d.root(name) == name || d.root(name) == "" {
		return nil
	}
	if err := d.parents(ctx, s, parentOf(name)); err != nil {
		return err
	}
	props := map[string]string{
		"canmount": "off", "mountpoint": "none", markParent: yes, markFleet: d.cfg.Owner.Fleet, markNode: d.cfg.Owner.Node,
	}
	_, err := d.zfs(ctx, poolOf(name), append(append([]string{"create"}, options(props)...), name)...)
	if says(err, "already exists") {
		return nil // another tenant's call was first
	}
	return err
}

// make makes the dataset, not whole yet.
func (d *Driver) make(ctx context.Context, name string, want drivers.VolumeOrder) error {
	v := want.Volume
	props := d.marks(want)
	props[markInside], props[markTuning] = insideData, tuningMark(v)
	maps.Copy(props, settings(v, v.Size != ""))
	point := d.mountpoint(name)
	var err error
	if v.Size == "" {
		props["mountpoint"], props["canmount"] = point, "on"
		err = d.library(ctx, poolOf(name), "zfs create "+name, func() error {
			_, err := gozfs.CreateFilesystem(name, props)
			return err
		})
	} else {
		size, serr := sizeOf(v.Size)
		if serr != nil {
			return refused("", "", serr.Error(), `write a size like "10G"`)
		}
		props[markMount], props[markKind] = point, filesystem(v)
		// Thin: a thick one would need its whole size once more for a snapshot.
		props["refreservation"] = "none"
		if v.RecordSize != "" {
			props["volblocksize"] = v.RecordSize
		}
		err = d.library(ctx, poolOf(name), "zfs create -V "+name, func() error {
			_, err := gozfs.CreateVolume(name, size, props)
			return err
		})
	}
	if says(err, "successfully created") {
		return nil // made and not mounted, which finish does, or says why not
	}
	return err
}

func (d *Driver) mountpoint(name string) string {
	return filepath.Join(d.cfg.Mounts, name[strings.LastIndexByte(name, '/')+1:])
}

// filesystem is what a zvol carries.
func filesystem(v plans.Volume) string {
	if v.Filesystem == "" {
		return "xfs"
	}
	return v.Filesystem
}

// sizeOf reads a size of a plan: bytes, or with K M G T (1024-based).
func sizeOf(size string) (uint64, error) {
	digits, unit := strings.TrimRight(size, "KMGT"), uint64(1)
	if n := strings.IndexByte("KMGT", size[len(size)-1]); n >= 0 {
		unit = 1 << (10 * (n + 1))
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(size)-len(digits) > 1 || n > (1<<63)/unit {
		return 0, fmt.Errorf("%q is not a size", size)
	}
	return n * unit, nil
}

// finish makes a dataset of ours whole: mounted, with a folder for its data.
func (d *Driver) finish(ctx context.Context, op string, e *entry, want drivers.VolumeOrder) (observed.Dataset, error) {
	whole := e.local(markReady) == yes
	if !whole && e.zvol() {
		if err := d.format(ctx, e); err != nil {
			return observed.Dataset{}, problem(op, e.name, err)
		}
	}
	at := placeOf(e)
	if e.value("mounted") != yes {
		if err := d.mount(ctx, e); err != nil {
			return observed.Dataset{}, problem(op, e.name, err)
		}
	}
	if !whole {
		if err := os.Chmod(at.point, 0o711); err != nil {
			return observed.Dataset{}, problem(op, e.name, err)
		}
		if err := own(pathOf(e, at), want.Volume); err != nil {
			return observed.Dataset{}, problem(op, e.name, err)
		}
		if _, err := d.zfs(ctx, poolOf(e.name), "set", markReady+"="+yes, e.name); err != nil {
			return observed.Dataset{}, problem(op, e.name, err)
		}
	}
	o := e.dataset()
	o.Origin, o.Path, o.Ready = e.origin(), pathOf(e, at), true
	return o, nil
}

// format makes the filesystem of a new zvol. One that is there already is from a
// call that was interrupted after it, and holds nothing: nobody saw it whole.
func (d *Driver) format(ctx context.Context, e *entry) error {
	if e.local(markInside) == insideRoot {
		return refused("", "", "it was taken over, and nothing is made on what a person had", "`zfs set "+markReady+"="+yes+" "+e.name+"` if its data are whole")
	}
	if err := d.unmount(ctx, e); err != nil {
		return err
	}
	if err := d.settled(ctx, e.name); err != nil {
		return err
	}
	force := map[string]string{"xfs": "-f", "ext4": "-F"}[e.local(markKind)]
	if force == "" {
		return fmt.Errorf("its mark asks for the filesystem %q, which is none of ours", e.local(markKind))
	}
	_, err := d.within(ctx, formatLimit, poolOf(e.name), "mkfs."+e.local(markKind), "-q", force, device(e.name))
	return err
}
