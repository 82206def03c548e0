package zfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// order is an order for acme's volume "data" below the bench's root.
func (b *bench) order(slot plans.Slot, attempt string, v plans.Volume) drivers.VolumeOrder {
	if v.Source == "" {
		v.Source = b.root + "/acme"
	}
	return drivers.VolumeOrder{Tenant: "acme", Name: "data", Slot: slot, Attempt: attempt, Generation: "g1:" + attempt, Role: observed.Live, Volume: v}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func class(t *testing.T, err error, want observed.Class, hint string) {
	t.Helper()
	var p *observed.Problem
	switch {
	case !errors.As(err, &p) || p.Class != want:
		t.Errorf("got %v (%s), want class %s", err, observed.ClassOf(err), want)
	case !strings.Contains(p.Hint+p.Text, hint):
		t.Errorf("%v says neither by text nor by hint (%s) %q", err, p.Hint, hint)
	}
}

// find returns the dataset of that id as it is observed.
func find(t testing.TB, d *Driver, id string) *observed.Dataset {
	t.Helper()
	all := must[[]observed.Dataset](t)(d.Observe(t.Context()))
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// upgrade makes live data, a snapshot of them and a clone.
func upgrade(t testing.TB, b *bench, d *Driver, v plans.Volume) (live, snap, clone observed.Dataset) {
	t.Helper()
	live = must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", v)))
	write(t, live.Path, "f", "old")
	snap = must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil))[0]
	clone = must[observed.Dataset](t)(d.Clone(t.Context(), "3", snap.ID, b.order(plans.Green, "a2", v), nil))
	return live, snap, clone
}

// smallPool is a pool of its own on a file, which a test may fill or take away.
func smallPool(t *testing.T) *bench {
	b := newBench(t)
	file := filepath.Join("/disk", "small.img")
	run(t, "truncate", "-s", "64M", file)
	run(t, "zpool", "create", "-f", "-O", "compression=off", "-O", "mountpoint="+t.TempDir(), "small", file)
	zfs(t, "create", "small/root")
	t.Cleanup(func() {
		run(t, "sh", "-c", "zpool import -d /disk small 2>/dev/null; umount "+b.mounts+"/* 2>/dev/null; zpool destroy -f small; rm "+file)
	})
	return &bench{root: "small/root", mounts: b.mounts}
}

func TestFullPool(t *testing.T) {
	b := smallPool(t)
	d := b.open(t)
	live, snap, clone := upgrade(t, b, d, plans.Volume{})
	f := must[*os.File](t)(os.Create(filepath.Join(clone.Path, "fill")))
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i*i>>3) ^ byte(i>>7)
	}
	var err error
	for n := 0; err == nil && n < 256; n++ {
		copy(block, []byte{byte(n), byte(n >> 3), 77})
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the pool is not full: %v", err)
	}
	want := b.order(plans.Green, "a3", plans.Volume{OnUpgrade: plans.Fresh, Reservation: "64M"})
	_, err = d.Create(t.Context(), "4", want)
	class(t, err, observed.Environment, "free space")
	if got := read(t, live.Path, "f"); got != "old" {
		t.Errorf("the old data are %q", got)
	}
	if free := must[int64](t)(d.Free(t.Context(), want.Volume)); free > 1<<20 {
		t.Errorf("%d bytes are free in a full pool", free)
	}
	// Undoing needs space too, and has it.
	if err := d.Destroy(t.Context(), "5", clone.ID); err != nil {
		t.Error(err)
	}
	if err := d.Destroy(t.Context(), "6", snap.ID); err != nil {
		t.Error(err)
	}
	run(t, "zpool", "sync", "small")
	want.Volume.Reservation = "1M"
	must[observed.Dataset](t)(d.Create(t.Context(), "7", want))
}

func TestPoolExported(t *testing.T) {
	b := smallPool(t)
	d := b.open(t)
	live, snap, clone := upgrade(t, b, d, plans.Volume{})
	block := must[observed.Dataset](t)(d.Create(t.Context(), "4", func() drivers.VolumeOrder {
		o := b.order(plans.Blue, "a1", plans.Volume{Size: "32M", Filesystem: "ext4"})
		o.Name = "block"
		return o
	}()))
	write(t, block.Path, "f", "old")
	run(t, "umount", filepath.Dir(block.Path))
	run(t, "zpool", "export", "small")

	// Nothing is taken for gone.
	_, err := d.Observe(t.Context())
	class(t, err, observed.Environment, "zpool import")
	_, err = d.Observe(t.Context(), "acme")
	class(t, err, observed.Environment, "zpool import")
	class(t, d.Destroy(t.Context(), "5", snap.ID), observed.Environment, "zpool import")
	class(t, d.Promote(t.Context(), "6", clone.ID), observed.Environment, "zpool import")
	class(t, d.SetRole(t.Context(), "7", live.ID, observed.Discarded, plans.Blue), observed.Environment, "zpool import")
	_, err = d.Create(t.Context(), "8", b.order(plans.Green, "a3", plans.Volume{}))
	class(t, err, observed.Environment, "zpool import")
	_, err = d.Snapshot(t.Context(), "9", "a3", []string{live.ID}, nil)
	class(t, err, observed.Environment, "zpool import")
	if _, err := os.Stat(live.Path); !os.IsNotExist(err) {
		t.Errorf("what is not mounted has a path that something could be started on: %v", err)
	}

	run(t, "zpool", "import", "-N", "-d", "/disk", "small")
	looks := must[*Driver](t)(New(Config{Roots: []string{b.root}, Mounts: b.mounts, Owner: owner, Look: true}))
	if seen := find(t, looks, live.ID); seen == nil || seen.Ready || seen.Problem == nil || seen.Problem.Hint == "" {
		t.Errorf("not mounted, and shown as %+v", seen)
	}
	for _, id := range []string{live.ID, clone.ID, block.ID} {
		if seen := find(t, d, id); seen == nil || !seen.Ready {
			t.Errorf("imported again, and shown as %+v", seen)
		}
	}
	if read(t, live.Path, "f") != "old" || read(t, block.Path, "f") != "old" {
		t.Error("mounted again with other data")
	}
}

// received copies a snapshot with its properties, as replication does.
func received(t *testing.T, snapshot, to string) {
	t.Helper()
	run(t, "sh", "-c", "set -o pipefail; zfs send -p "+snapshot+" | zfs receive -u -x mountpoint "+to)
}

func TestForeign(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	live, snap, _ := upgrade(t, b, d, plans.Volume{})
	// Below and beside ours: somebody's dataset, a copy of ours that was
	// received with its properties, and snapshots taken by another tool.
	zfs(t, "create", live.ID+"/theirs")
	zfs(t, "snapshot", live.ID+"@auto")
	received(t, snap.ID, b.root+"/acme/copy")
	all := must[[]observed.Dataset](t)(d.Observe(t.Context()))
	if len(all) != 3 {
		t.Errorf("%d datasets are ours, want the live one, its snapshot and its clone: %+v", len(all), all)
	}
	for _, id := range []string{live.ID + "/theirs", b.root + "/acme/copy", live.ID + "@auto"} {
		class(t, d.Destroy(t.Context(), "4", id), observed.Refused, "not ours")
		class(t, d.SetRole(t.Context(), "5", id, observed.Live, plans.Blue), observed.Conflict, "")
	}
	class(t, d.Destroy(t.Context(), "6", "tank"), observed.Refused, "roots")
	class(t, d.Destroy(t.Context(), "7", live.ID), observed.Refused, live.ID+"/theirs")
	if seen := find(t, d, live.ID); seen == nil || !slices.Contains(seen.Clones, live.ID+"@auto") {
		t.Errorf("what hangs on it is not shown: %+v", seen)
	}
	other := must[*Driver](t)(New(Config{Roots: []string{b.root}, Mounts: b.mounts, Owner: drivers.Owner{Fleet: "f", Node: "another"}}))
	if all := must[[]observed.Dataset](t)(other.Observe(t.Context())); len(all) != 0 {
		t.Errorf("another node's datasets are shown: %+v", all)
	}
	_, err := d.Create(t.Context(), "8", b.order(plans.Green, "a1", plans.Volume{Source: "tank/elsewhere"}))
	class(t, err, observed.Refused, "not below")
	_, err = d.Create(t.Context(), "9", b.order(plans.Green, "a1", plans.Volume{Source: b.root + "/../x"}))
	class(t, err, observed.Refused, "no name")
}

func TestBusy(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", plans.Volume{})))
	write(t, live.Path, "f", "old")
	f := must[*os.File](t)(os.Open(filepath.Join(live.Path, "f")))
	class(t, d.Destroy(t.Context(), "2", live.ID), observed.Refused, "fuser")
	if got := read(t, live.Path, "f"); got != "old" {
		t.Errorf("refused, and the data are %q", got)
	}
	f.Close()
	release := use(t, live)
	if seen := find(t, d, live.ID); seen == nil || !seen.Busy {
		t.Errorf("in use by an instance, and shown as %+v", seen)
	}
	class(t, d.Destroy(t.Context(), "3", live.ID), observed.Refused, "process")
	release()
	if err := d.Destroy(t.Context(), "4", live.ID); err != nil {
		t.Error(err)
	}
}

func TestHeldByAnother(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", plans.Volume{})))
	snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil))[0]
	zfs(t, "hold", "backup", snap.ID)
	class(t, d.Destroy(t.Context(), "3", snap.ID), observed.Refused, "backup")
	if seen := find(t, d, snap.ID); seen == nil || !slices.Equal(seen.Holds, []string{"backup"}) {
		t.Errorf("held by another, and shown as %+v", seen)
	}
	class(t, d.Release(t.Context(), "4", snap.ID, "backup"), observed.Refused, "none of ours")
	zfs(t, "release", "backup", snap.ID)
	if err := d.Destroy(t.Context(), "5", snap.ID); err != nil {
		t.Error(err)
	}
}

func TestKeyNotLoaded(t *testing.T) {
	b := newBench(t)
	key := filepath.Join(t.TempDir(), "key")
	write(t, filepath.Dir(key), "key", "a passphrase")
	zfs(t, "create", "-o", "encryption=on", "-o", "keyformat=passphrase", "-o", "keylocation=file://"+key, "-o", "canmount=off", b.root+"/safe")
	v := plans.Volume{Source: b.root + "/safe/acme"}
	d := b.open(t)
	live, snap, clone := upgrade(t, b, d, v)
	if got := read(t, clone.Path, "f"); got != "old" {
		t.Errorf("a clone of encrypted data holds %q", got)
	}
	zfs(t, "unmount", live.ID)
	zfs(t, "unmount", clone.ID)
	zfs(t, "unload-key", "-r", b.root+"/safe")
	seen := find(t, d, live.ID)
	if seen == nil || seen.Ready || seen.Problem == nil || !strings.Contains(seen.Problem.Error()+seen.Problem.Hint, "load-key") {
		t.Errorf("locked, and shown as %+v", seen)
	}
	_, err := d.Create(t.Context(), "4", b.order(plans.Green, "a3", plans.Volume{Source: v.Source, OnUpgrade: plans.Fresh}))
	class(t, err, observed.Environment, "load-key")
	_, err = d.Clone(t.Context(), "5", snap.ID, b.order(plans.Green, "a4", v), nil)
	class(t, err, observed.Environment, "load-key")
	zfs(t, "load-key", b.root+"/safe")
	for _, id := range []string{live.ID, clone.ID} {
		if seen := find(t, d, id); seen == nil || !seen.Ready {
			t.Errorf("unlocked, and shown as %+v", seen)
		}
	}
	must[observed.Dataset](t)(d.Clone(t.Context(), "5", snap.ID, b.order(plans.Green, "a4", v), nil))
}
