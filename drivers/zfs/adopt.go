package zfs

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// adopt takes over the dataset a plan names with `import: true`: it gets our
// marks, and stays where it is mounted. What will be cloned from it is made
// beside it.
func (d *Driver) adopt(ctx context.Context, s *survey, name string, want drivers.VolumeOrder) (observed.Dataset, error) {
	const op = "import"
	e := s.named[name]
	if e == nil {
		return observed.Dataset{}, refused(op, name, "there is no such dataset to take over",
			"create it, or remove `import: true` to start with an empty volume")
	}
	if of := e.local(markTenant); of != "" {
		return observed.Dataset{}, refused(op, name, "it is marked as "+of+"/"+e.local(markVolume)+" of fleet "+e.local(markFleet)+", node "+e.local(markNode),
			"if nobody else uses it, take the marks off: `zfs inherit reconcile:tenant "+name+"`")
	}
	if d.root(name) == name {
		return observed.Dataset{}, refused(op, name, "it is a root of drivers.zfs, so that nothing can be made beside it", "add its parent to drivers.zfs.roots")
	}
	if below := slices.DeleteFunc(slices.Clone(s.hangs[name]), func(n string) bool { return strings.Contains(n, "@") }); len(below) > 0 {
		return observed.Dataset{}, refused(op, name, "there are datasets below it, which no clone of it would have: "+strings.Join(below, ", "),
			"give each a volume of its own, or move them away with `zfs rename`")
	}
	props := d.marks(want)
	props[markInside], props[markReady] = insideRoot, yes
	kind := ""
	if e.zvol() {
		var err error
		if kind, err = d.carriesOurs(ctx, op, e); err != nil {
			return observed.Dataset{}, problem(op, name, err)
		}
	}
	if _, err := d.suits(ctx, op, name, e.zvol(), kind, want.Volume); err != nil {
		return observed.Dataset{}, problem(op, name, err)
	}
	if e.zvol() {
		props[markMount], props[markKind] = d.mountpoint(name), kind
	} else if !filepath.IsAbs(e.value("mountpoint")) || e.value("canmount") != "on" {
		return observed.Dataset{}, refused(op, name, "it is not mounted by ZFS: mountpoint="+e.value("mountpoint")+", canmount="+e.value("canmount"),
			"`zfs set mountpoint=/some/where canmount=on "+name+"`")
	}
	d.pool(name).known.made(want.Tenant, parentOf(name))
	if err := d.set(ctx, name, props); err != nil {
		return observed.Dataset{}, problem(op, name, err)
	}
	e, err := d.there(ctx, op, name)
	if err != nil {
		return observed.Dataset{}, err
	}
	return d.finish(ctx, op, e, want)
}

// carriesOurs is the filesystem on a zvol that is taken over. Nothing is ever made
// on it.
func (d *Driver) carriesOurs(ctx context.Context, op string, e *entry) (kind string, err error) {
	if e.locked() {
		return "", refusal{text: "encryption key not loaded"}
	}
	if kind, err = d.carries(ctx, e.name); err == nil && kind == "" {
		return "", unlike(op, e.name, "there is neither xfs nor ext4 on its device "+device(e.name),
			"look at it with `blkid -p "+device(e.name)+"`; make the filesystem yourself, on the device and not on a partition of it")
	}
	return kind, err
}

// remark corrects the mark of a zvol that was taken over as something else than it
// is. What a person had is on it, whatever was written down.
func (d *Driver) remark(ctx context.Context, op string, e *entry, v plans.Volume) error {
	if !e.zvol() || e.local(markInside) != insideRoot || e.origin() != "" {
		return nil
	}
	table, err := mountTable("self", true)
	if err != nil || placeOf(e).mounted(table) {
		return err
	}
	kind, err := d.carriesOurs(ctx, op, e)
	if err == nil {
		_, err = d.suits(ctx, op, e.name, true, kind, v)
	}
	if err != nil || kind == e.local(markKind) {
		return err
	}
	e.values[markKind] = kind
	return d.set(ctx, e.name, map[string]string{markKind: kind})
}

// carries looks what filesystem is on a zvol, "" for none that we mount.
func (d *Driver) carries(ctx context.Context, name string) (kind string, err error) {
	if err := d.settled(ctx, name); err != nil {
		return "", err
	}
	err = d.guard.run(ctx, d.cfg.Limit, poolOf(name), "read "+device(name), func(context.Context) error {
		f, err := os.Open(device(name))
		if err != nil {
			return err
		}
		defer f.Close()
		begin := make([]byte, superblock)
		if _, err := io.ReadFull(f, begin); err != nil {
			return fmt.Errorf("read %s: %w", device(name), err)
		}
		kind, _ = kindOf(begin)
		return nil
	})
	return kind, err
}
