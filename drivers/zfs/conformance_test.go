package zfs

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func TestStorage(t *testing.T) { conform(t, plans.Volume{}) }

var zvols = map[string]plans.Volume{"xfs": {Size: "320M", Filesystem: "xfs"}, "ext4": {Size: "64M", Filesystem: "ext4"}}

func TestZvols(t *testing.T) {
	vm.Only(t)
	if vm.Slow() && !*all {
		t.Skip("takes minutes in an emulated VM: with -args -all, as make soak does")
	}
	for name, like := range zvols {
		t.Run(name, func(t *testing.T) { conform(t, like) })
	}
}

// TestZvol is one upgrade of each kind of zvol.
func TestZvol(t *testing.T) {
	for name, like := range zvols {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			d := b.open(t)
			// What was written without a flush is in the snapshot, and the clone
			// is mounted beside what it came from.
			live, snap, clone := upgrade(t, b, d, like)
			if got := read(t, clone.Path, "f"); got != "old" {
				t.Errorf("the clone holds %q", got)
			}
			write(t, clone.Path, "f", "new")
			if got := read(t, live.Path, "f"); got != "old" {
				t.Errorf("a write to the clone is in what it came from: %q", got)
			}
			if got := zfs(t, "get", "-H", "-o", "value", "refreservation", live.ID); got != "none" {
				t.Errorf("it is thick: refreservation=%s", got)
			}
			class(t, d.Destroy(t.Context(), "4", live.ID), observed.Refused, snap.ID)
			for _, err := range []error{
				d.Promote(t.Context(), "5", clone.ID), d.Destroy(t.Context(), "6", live.ID),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			// As after a restart of the host.
			run(t, "umount", filepath.Dir(clone.Path))
			if seen := find(t, b.open(t), clone.ID); seen == nil || !seen.Ready || read(t, clone.Path, "f") != "new" {
				t.Errorf("mounted again as %+v", seen)
			}
		})
	}
}

// conform runs the suite on volumes like the given one.
func conform(t *testing.T, like plans.Volume) {
	vm.Only(t)
	var b *bench
	h := drivertest.Storage{
		New: func(t *testing.T) drivers.Storage {
			b = newBench(t)
			return b.open(t)
		},
		Reopen: func(t *testing.T) drivers.Storage { return b.open(t) },
		Volume: func(_ *testing.T, tenant, name string) plans.Volume {
			v := like
			v.Source = b.root + "/" + tenant
			return v
		},
		Foreign: func(t *testing.T, want drivers.VolumeOrder) func() error {
			theirs := want.Volume.Source + "/" + leaf(want)
			zfs(t, "create", "-p", theirs)
			point := zfs(t, "get", "-H", "-o", "value", "mountpoint", theirs)
			write(t, point, "precious", "theirs")
			return func() error {
				if got := read(t, point, "precious"); got != "theirs" {
					return fmt.Errorf("foreign data became %q", got)
				}
				return nil
			}
		},
		Use: use,
		// A clone is whole at once; only its mount can be missing.
		BreakClone: func(t *testing.T, s drivers.Storage, snapshot string, want drivers.VolumeOrder) drivers.Storage {
			clone := must[observed.Dataset](t)(s.Clone(t.Context(), "1", snapshot, want, nil))
			run(t, "umount", filepath.Dir(clone.Path))
			c := b.config()
			c.Look = true // does not mount it by looking
			return must[*Driver](t)(New(c))
		},
	}
	if like.Size == "" { // a small pool is no place for a zvol
		h.Parts = inTwoPools
	}
	drivertest.RunStorage(t, h)
}

// inTwoPools is a driver with a root in the pool of the VM and one in a pool that
// can be exported.
func inTwoPools(t *testing.T) drivertest.Parts {
	stays, leaves := newBench(t), smallPool(t)
	c := stays.config()
	c.Roots = append(c.Roots, leaves.root)
	return drivertest.Parts{
		Open:   func() drivers.Storage { return must[*Driver](t)(New(c)) },
		Stays:  plans.Volume{Source: stays.root + "/data"},
		Leaves: plans.Volume{Source: leaves.root + "/data"},
		Leave:  func() { run(t, "zpool", "export", "small") },
		Return: func() { run(t, "zpool", "import", "-N", "-d", "/disk", "small") },
	}
}

// use binds the data of a dataset in a namespace of its own, as an instance does.
func use(t *testing.T, d observed.Dataset) func() {
	cmd := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-c",
		`mkdir -p "$0" && mount --bind "$1" "$0" && umount "$2" && echo mounted && read line`, t.TempDir(), d.Path, filepath.Dir(d.Path))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 16)); err != nil || n == 0 {
		t.Fatalf("mount in a namespace of its own: %v %s", err, errs.String())
	}
	return func() {
		in.Close()
		cmd.Wait()
	}
}
