package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// checks makes the preflight table. Every line is tried, so that a person sees
// all that is missing at once.
func (x *executor) checks(ctx context.Context, a reconcile.Action) []observed.Check {
	subject := a.Generation
	if subject == "" {
		subject = a.Digest
	}
	out := make([]observed.Check, 0, len(a.Checks))
	for _, c := range a.Checks {
		line := observed.Check{ID: c.ID, For: subject}
		text, err := x.check(ctx, a, c, &line)
		line.At, line.OK = x.now(), err == nil
		line.Text = x.redact.Text(text)
		if err != nil {
			line.Problem = x.clean(*observed.Wrap("check", c.ID, observed.ClassOf(err), err, ""))
			line.Text = line.Problem.Text
		}
		out = append(out, line)
	}
	if slices.ContainsFunc(out, func(c observed.Check) bool { return !c.OK }) {
		x.rooms.drop(a.Tenant) // it does not move yet
	}
	return out
}

func (x *executor) check(ctx context.Context, a reconcile.Action, c reconcile.CheckOrder, line *observed.Check) (text string, err error) {
	tenant := a.Tenant
	switch c.Kind {
	case "image", "present":
		return x.checkImage(ctx, tenant, c.Image)
	case "port":
		return x.checkPort(ctx, c)
	case "hostFile":
		return x.checkFile(c.File)
	case "traits":
		return x.checkTraits(tenant, c)
	case "volume":
		return x.checkVolume(ctx, c, a.Checks)
	case "space":
		text, line.Free, err = x.checkSpace(ctx, tenant, c)
		return text, err
	case "volumes":
		return x.checkVolumes(ctx, a.Checks)
	case "data":
		return x.checkData(ctx, tenant, c)
	}
	return "", refused(fmt.Sprintf("unknown check %q", c.Kind), "run a reconcile whose agent knows it")
}

func refused(text, hint string) error {
	return &observed.Problem{Class: observed.Refused, Text: text, Hint: hint}
}

func (x *executor) checkImage(ctx context.Context, tenant, image string) (string, error) {
	rt, err := x.runtime(tenant)
	if err != nil {
		return "", refused(err.Error(), "name a runtime this host has")
	}
	ok, err := rt.Present(ctx, image)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", refused("image "+image+" is not on this host", "it is pulled before the check; see the pull's own problem")
	}
	return "image is on the host", nil
}

func (x *executor) checkPort(ctx context.Context, c reconcile.CheckOrder) (string, error) {
	owner := x.host.PortOwner(c.Port)
	if owner == "" {
		return fmt.Sprintf("port %d is free", c.Port), nil
	}
	// The port of an instance that already runs there is taken, and rightly.
	if rt, e := x.runtimeOf(c.Key); e == nil && (c.Key != plans.Key{}) && rt.Listens(ctx, c.Key, c.Port) == nil {
		return fmt.Sprintf("port %d is this instance's", c.Port), nil
	}
	return "", refused(fmt.Sprintf("port %d is in use by %s", c.Port, owner), "stop what uses it, or fix another port under slots.SLOT.ports")
}

func (x *executor) checkFile(path string) (string, error) {
	content, err := x.inputs.read(path)
	if err != nil {
		return "", refused(err.Error(), "put the file there, readable for reconcile")
	}
	digest, err := x.inputs.digest(content)
	if err != nil {
		return "", err
	}
	return "readable, " + digest, nil
}

func (x *executor) checkTraits(tenant string, c reconcile.CheckOrder) (string, error) {
	name := x.runtimeName(tenant)
	rt, err := x.runtime(tenant)
	if err != nil {
		return "", refused(err.Error(), "name a runtime this host has")
	}
	if c.Service == nil {
		return "", nil
	}
	if no := Unsupported(*c.Service, rt.Traits()); len(no) > 0 {
		return "", refused(fmt.Sprintf("runtime %s cannot honour %s", name, strings.Join(no, ", ")),
			"remove these fields, or choose a runtime that can")
	}
	return "runtime " + name + " honours every field", nil
}

func (x *executor) checkVolume(ctx context.Context, c reconcile.CheckOrder, all []reconcile.CheckOrder) (string, error) {
	var v plans.Volume
	if c.Spec != nil {
		v = *c.Spec
	}
	st, err := x.storage(v)
	if err != nil {
		return "", refused(err.Error(), "name a volume driver this host has, or configure it there (zfs: drivers.zfs.roots)")
	}
	t := st.Traits()
	if no := UnsupportedVolume(v, t); len(no) > 0 {
		return "", refused(fmt.Sprintf("volume %s: driver %s cannot honour %s", c.Volume, t.Name, strings.Join(no, ", ")),
			"remove these fields, or choose a driver that can, such as zfs")
	}
	if v.OnUpgrade == plans.Clone && v.Writes != plans.Quiesce && v.Freeze == nil && !t.PointInTime {
		return "", refused(fmt.Sprintf("volume %s: driver %s has no point-in-time snapshot, a copy under writes is torn", c.Volume, t.Name),
			"say `writes: quiesce`, add a freeze hook, or use a driver with snapshots")
	}
	if able, ok := st.(drivers.VolumeChecker); ok {
		if err := able.CheckVolume(ctx, v); err != nil {
			return "", err
		}
	}
	if able, ok := st.(drivers.CloneChecker); ok && v.OnUpgrade == plans.Clone {
		if of := copiedOf(all, c.Volume); of != "" {
			if err := able.CheckClone(ctx, of, v); err != nil {
				return "", err
			}
		}
	}
	return "driver " + t.Name, nil
}

// copiedOf is the dataset or snapshot a volume's data are cloned of, as the line for
// the space says it; "" if they are not.
func copiedOf(orders []reconcile.CheckOrder, volume string) string {
	for _, o := range orders {
		for _, r := range o.Rooms {
			if r.Volume == volume && len(r.Copies) > 0 {
				return r.Copies[0]
			}
		}
	}
	return ""
}

// checkVolumes proves that one snapshot can be taken over the volumes of a tenant
// that an upgrade takes one of, of each driver.
func (x *executor) checkVolumes(ctx context.Context, orders []reconcile.CheckOrder) (string, error) {
	of := map[string]map[string]plans.Volume{} // by driver, by name
	for _, o := range orders {
		if o.Kind != "volume" || o.Spec == nil || o.Spec.OnUpgrade != plans.Clone && o.Spec.OnUpgrade != plans.Snapshot {
			continue
		}
		driver := cmp.Or(o.Spec.Driver, x.defaultStorage)
		if of[driver] == nil {
			of[driver] = map[string]plans.Volume{}
		}
		of[driver][o.Volume] = *o.Spec
	}
	for driver, vs := range plans.Sorted(of) {
		if able, ok := x.storages[driver].(drivers.VolumesChecker); ok {
			if err := able.CheckVolumes(ctx, vs); err != nil {
				return "", err
			}
		}
	}
	return "one snapshot can be taken of all volumes of each driver", nil
}

// UnsupportedVolume names the fields of a volume that a storage cannot honour.
func UnsupportedVolume(v plans.Volume, t drivers.StorageTraits) []string {
	if t.Tuned {
		return nil
	}
	var no []string
	for field, value := range plans.Sorted(map[string]string{
		"quota": v.Quota, "reservation": v.Reservation, "compression": v.Compression,
		"recordSize": v.RecordSize, "size": v.Size, "filesystem": v.Filesystem,
	}) {
		if value != "" {
			no = append(no, field)
		}
	}
	return no
}
