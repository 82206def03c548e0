package zfs

import (
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// TestImportZvol: what is on a block device that is taken over is looked at, and
// neither guessed nor made.
func TestImportZvol(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	zfs(t, "create", "-o", "canmount=off", b.root+"/old")
	for _, kind := range []string{"ext4", "xfs"} {
		theirs := b.root + "/old/" + kind
		size := map[string]string{"ext4": "64M", "xfs": "320M"}[kind]
		zfs(t, "create", "-s", "-V", size, theirs)
		if err := d.settled(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		order := func(v plans.Volume) drivers.VolumeOrder {
			v.Source, v.Import = theirs, true
			o := b.order(plans.Blue, "a1", v)
			o.Name = kind
			return o
		}
		_, err := d.Create(t.Context(), "1", order(plans.Volume{Size: size, Filesystem: kind}))
		class(t, err, observed.Environment, "neither xfs nor ext4")
		run(t, "mkfs."+kind, "-q", device(theirs))
		at := t.TempDir()
		run(t, "mount", device(theirs), at)
		write(t, at, "f", "theirs")
		run(t, "umount", at)
		other := map[string]string{"ext4": "xfs", "xfs": "ext4"}[kind]
		_, err = d.Create(t.Context(), "2", order(plans.Volume{Size: size, Filesystem: other}))
		class(t, err, observed.Environment, "it carries "+kind)
		if got := zfs(t, "get", "-H", "-s", "local", "-o", "property", "all", theirs); strings.Contains(got, "reconcile:") {
			t.Errorf("refused, and marked: %s", got)
		}
		// Without a word of the plan it is what it is; and what an older version
		// guessed is put right.
		if kind == "ext4" {
			class(t, unguessed(t, d, theirs, order(plans.Volume{Size: size, Filesystem: other})), observed.Environment, "it carries ext4")
		}
		v := plans.Volume{Size: size}
		if kind == "xfs" {
			v.Size = ""
		}
		live := must[observed.Dataset](t)(d.Create(t.Context(), "3", order(v)))
		if live.ID != theirs || read(t, live.Path, "f") != "theirs" {
			t.Errorf("taken over as %+v", live)
		}
		if got := zfs(t, "get", "-H", "-o", "value", markKind, theirs); got != kind {
			t.Errorf("it is marked as %s, and is %s", got, kind)
		}
		snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "4", "a2", []string{theirs}, nil))[0]
		next := order(v)
		next.Slot, next.Attempt = plans.Green, "a2"
		clone := must[observed.Dataset](t)(d.Clone(t.Context(), "5", snap.ID, next, nil))
		if got := read(t, clone.Path, "f"); got != "theirs" {
			t.Errorf("its clone holds %q", got)
		}
	}
}

// unguessed marks a dataset as one that was taken over as xfs, whatever it is.
func unguessed(t *testing.T, d *Driver, name string, want drivers.VolumeOrder) error {
	t.Helper()
	props := d.marks(want)
	props[markInside], props[markReady], props[markMount], props[markKind] = insideRoot, yes, d.mountpoint(name), "xfs"
	if err := d.set(t.Context(), name, props); err != nil {
		t.Fatal(err)
	}
	_, err := d.Create(t.Context(), "0", want)
	return err
}

// TestFormatNever: what a person had is not formatted, whatever its marks say.
func TestFormatNever(t *testing.T) {
	onHost(t)
	e := &entry{name: "tank/fleet/x", values: map[string]string{"type": "volume", markInside: insideRoot, markKind: "ext4"}, set: map[string]bool{markInside: true, markKind: true}}
	class(t, looker(t, "n").format(t.Context(), e), observed.Refused, "taken over")
}
