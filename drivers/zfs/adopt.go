package zfs

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
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
	if e.zvol() {
		props[markMount], props[markKind] = d.mountpoint(name), filesystem(want.Volume)
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
