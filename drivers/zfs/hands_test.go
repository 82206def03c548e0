package zfs

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// A person promotes, renames and unmounts beside us.
func TestByHand(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	live, snap, clone := upgrade(t, b, d, plans.Volume{})
	zfs(t, "promote", clone.ID)
	if seen := find(t, d, clone.ID); seen == nil || seen.Origin != "" || !seen.Ready {
		t.Errorf("promoted by hand, and shown as %+v", seen)
	}
	moved := clone.ID + "@" + snapName("a2")
	if seen := find(t, d, moved); seen == nil || seen.Attempt != "a2" || seen.Slot != plans.Blue || seen.Generation != "g1:a1" {
		t.Errorf("the snapshot of what was, given to the clone, is shown as %+v", seen)
	}
	if err := d.Promote(t.Context(), "4", clone.ID); err != nil {
		t.Error(err)
	}
	class(t, d.Destroy(t.Context(), "5", moved), observed.Refused, live.ID) // now the old side is the clone
	_, err := d.Clone(t.Context(), "6", snap.ID, b.order(plans.Green, "a3", plans.Volume{}), nil)
	class(t, err, observed.Conflict, "")
	if err := d.Destroy(t.Context(), "7", live.ID); err != nil {
		t.Error(err)
	}
	renamed := b.root + "/acme/renamed"
	zfs(t, "rename", clone.ID, renamed)
	if seen := find(t, d, renamed); seen == nil || seen.Tenant != "acme" || !seen.Ready || seen.Path != clone.Path {
		t.Errorf("renamed by hand, and shown as %+v", seen)
	}
	again := must[observed.Dataset](t)(d.Create(t.Context(), "8", b.order(plans.Green, "a9", plans.Volume{})))
	if again.ID != renamed {
		t.Errorf("made %s though %s is there", again.ID, renamed)
	}
	// A look at one tenant finds what was moved out of its place.
	zfs(t, "create", "-o", "canmount=off", b.root+"/other")
	zfs(t, "rename", renamed, b.root+"/other/x")
	if seen := must[[]observed.Dataset](t)(d.Observe(t.Context(), "acme")); len(seen) == 0 || seen[0].ID != b.root+"/other/x" {
		t.Errorf("moved by hand, and shown as %+v", seen)
	}
}

// What a killed call left is found and finished, and never made twice.
func TestHalfMade(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	for name, v := range map[string]plans.Volume{
		"fs": {Owner: "1000:2000", Mode: "0750"}, "block": {Size: "32M", Filesystem: "ext4", Owner: "1000:2000", Mode: "0750"},
	} {
		want := b.order(plans.Blue, "a1", v)
		want.Name = name
		id := want.Volume.Source + "/" + leaf(want)
		s := must[*survey](t)(d.survey(t.Context(), d.cfg.Roots, datasetsOnly))
		if err := d.parents(t.Context(), s, want.Volume.Source); err != nil {
			t.Fatal(err)
		}
		if err := d.make(t.Context(), id, want); err != nil {
			t.Fatal(err)
		}
		if seen := find(t, d, id); seen == nil || seen.Ready || seen.Volume != name {
			t.Fatalf("half made, and shown as %+v", seen)
		}
		made := must[observed.Dataset](t)(b.open(t).Create(t.Context(), "2", want))
		if made.ID != id || !made.Ready {
			t.Errorf("half made %s was finished as %+v", id, made)
		}
		info := must[os.FileInfo](t)(os.Stat(made.Path))
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 1000 || st.Gid != 2000 || info.Mode().Perm() != 0o750 {
			t.Errorf("its data are of %d:%d, %s", st.Uid, st.Gid, info.Mode())
		}
		// A clone without its mount.
		write(t, made.Path, "f", "old")
		snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "3", "a2", []string{id}, nil))[0]
		next := want
		next.Slot, next.Attempt = plans.Green, "a2"
		clone := must[observed.Dataset](t)(d.Clone(t.Context(), "4", snap.ID, next, nil))
		run(t, "umount", filepath.Dir(clone.Path))
		again := must[observed.Dataset](t)(b.open(t).Clone(t.Context(), "5", snap.ID, next, nil))
		if again.ID != clone.ID || read(t, again.Path, "f") != "old" {
			t.Errorf("a clone without its mount was finished as %+v", again)
		}
	}
}

// The snapshots of one attempt are of one transaction group of the pool.
func TestOneMoment(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	var ids []string
	for _, slot := range []plans.Slot{plans.Blue, plans.Shared} {
		ids = append(ids, must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(slot, "a1", plans.Volume{}))).ID)
	}
	snaps := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", ids, nil))
	txg := func(id string) string { return zfs(t, "get", "-H", "-o", "value", "createtxg", id) }
	if txg(snaps[0].ID) != txg(snaps[1].ID) {
		t.Error("the snapshots are of two moments")
	}
	for i, slot := range []plans.Slot{plans.Blue, plans.Shared} {
		if seen := find(t, d, snaps[i].ID); seen == nil || seen.Slot != slot || seen.Generation != "g1:a1" {
			t.Errorf("snapshot of %s is shown as %+v", slot, seen)
		}
	}
	// One of them is gone: the other alone is no snapshot of the tenant.
	zfs(t, "destroy", snaps[1].ID)
	_, err := d.Snapshot(t.Context(), "3", "a2", ids, nil)
	class(t, err, observed.Refused, "one moment")
}

func TestImport(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	point := t.TempDir()
	zfs(t, "create", "-o", "canmount=off", b.root+"/old")
	theirs := b.root + "/old/data"
	zfs(t, "create", "-o", "mountpoint="+point, theirs)
	write(t, point, "f", "theirs")
	v := plans.Volume{Source: theirs, Import: true}
	_, err := d.Create(t.Context(), "1", b.order(plans.Blue, "a1", plans.Volume{Source: b.root + "/old/nothing", Import: true}))
	class(t, err, observed.Refused, "import: true")
	zfs(t, "create", theirs+"/child")
	_, err = d.Create(t.Context(), "2", b.order(plans.Blue, "a1", v))
	class(t, err, observed.Refused, "child")
	zfs(t, "destroy", theirs+"/child")
	for range 2 {
		live := must[observed.Dataset](t)(d.Create(t.Context(), "3", b.order(plans.Blue, "a1", v)))
		if live.ID != theirs || live.Path != point || !live.Ready {
			t.Fatalf("taken over as %+v", live)
		}
	}
	other := must[*Driver](t)(New(Config{Roots: []string{b.root}, Mounts: b.mounts, Owner: drivers.Owner{Fleet: "f", Node: "another"}}))
	_, err = other.Create(t.Context(), "4", b.order(plans.Blue, "a1", v))
	class(t, err, observed.Refused, "node n")
	snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "5", "a2", []string{theirs}, nil))[0]
	clone := must[observed.Dataset](t)(d.Clone(t.Context(), "6", snap.ID, b.order(plans.Green, "a2", v), nil))
	if read(t, clone.Path, "f") != "theirs" || parentOf(clone.ID) != b.root+"/old" {
		t.Errorf("cloned as %+v", clone)
	}
	if err := d.Promote(t.Context(), "7", clone.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.Destroy(t.Context(), "8", theirs); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	live, _, clone := upgrade(t, b, d, plans.Volume{Quota: "2M", Reservation: "1M", Compression: "zstd", RecordSize: "16K"})
	for _, id := range []string{live.ID, clone.ID} {
		got := lines(zfs(t, "get", "-H", "-p", "-o", "value", "refquota,reservation,compression,recordsize", id))
		if want := "2097152 1048576 zstd 16384"; strings.Join(got, " ") != want {
			t.Errorf("%s has %s, want %s", id, got, want)
		}
	}
	f := must[*os.File](t)(os.Create(filepath.Join(live.Path, "big")))
	defer f.Close()
	var err error
	for n := byte(0); err == nil && n < 64; n++ {
		noise := make([]byte, 1<<18)
		for i := range noise {
			noise[i] = n ^ byte(i*i>>5)
		}
		if _, err = f.Write(noise); err == nil {
			err = f.Sync()
		}
	}
	if !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("16 MiB in a volume of 2: %v", err)
	}
	_, err = d.Create(t.Context(), "4", b.order(plans.Shared, "a1", plans.Volume{RecordSize: "3K"}))
	class(t, err, observed.Refused, "recordSize")
	_, err = d.Create(t.Context(), "5", b.order(plans.Shared, "a1", plans.Volume{Compression: "tight"}))
	class(t, err, observed.Refused, "zfsprops")
}

// TestPermissions holds the documentation to what TestDelegated delegates.
func TestPermissions(t *testing.T) {
	onHost(t)
	doc := must[[]byte](t)(os.ReadFile("../../docs/drivers-zfs.md"))
	if got := regexp.MustCompile(`(?m)zfs allow -u reconcile \\\n\s+(\S+) \\$`).FindSubmatch(doc); got == nil || string(got[1]) != permissions {
		t.Errorf("docs/drivers-zfs.md delegates %q, want %q", got, permissions)
	}
}

// Permissions is what docs/drivers-zfs.md says to delegate.
const permissions = "create,destroy,mount,snapshot,clone,promote,hold,release,userprop,canmount,mountpoint,refquota,reservation,refreservation,compression,recordsize,volsize,volblocksize"

// TestDelegated runs a driver as a user who was given permissions by zfs allow.
// All but mounting works, and mounting says who can.
func TestDelegated(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", plans.Volume{})))
	zfs(t, "set", "atime=off", "theirs:note=x", "sync=always", live.ID)
	zfs(t, "allow", "-u", "nobody", permissions, b.root)
	run(t, "chmod", "666", "/dev/zfs")
	for dir := b.mounts; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		run(t, "chmod", "755", dir)
	}
	cmd := exec.Command("/vm/package.test", "-test.run=^TestAsNobody$", "-test.v")
	cmd.Env = append(os.Environ(), "AS_NOBODY="+b.root+" "+b.mounts+" "+live.ID)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestAsNobody")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAsNobody(t *testing.T) {
	vm.Only(t)
	words := strings.Fields(os.Getenv("AS_NOBODY"))
	if len(words) != 3 {
		t.Skip("run by TestDelegated")
	}
	b := &bench{root: words[0], mounts: words[1]}
	d, live := b.open(t), words[2]
	if seen := find(t, d, live); seen == nil || !seen.Ready {
		t.Fatalf("without root it is shown as %+v", seen)
	}
	snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", []string{live}, nil))[0]
	for _, err := range []error{
		d.Hold(t.Context(), "3", snap.ID, drivers.HoldPrefix+"x"), d.Release(t.Context(), "4", snap.ID, drivers.HoldPrefix+"x"),
		d.SetRole(t.Context(), "5", live, observed.Discarded, plans.Blue), d.SetRole(t.Context(), "6", live, observed.Live, plans.Blue),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	_, err := d.Clone(t.Context(), "7", snap.ID, b.order(plans.Green, "a2", plans.Volume{}), nil)
	class(t, err, observed.Refused, "root")
	clone := b.root + "/acme/" + leaf(b.order(plans.Green, "a2", plans.Volume{}))
	if seen := find(t, d, clone); seen == nil || seen.Ready || seen.Origin != snap.ID {
		t.Fatalf("cloned and not mounted, it is shown as %+v", seen)
	}
	// What a person set has permissions of its own, but for user properties.
	if seen := find(t, d, clone); seen.Lacks != "atime, sync" || sources(t, clone, "theirs:note")["theirs:note"] != "x" {
		t.Errorf("without permissions for what a person set, the clone is shown as %+v", seen)
	}
	for _, v := range []plans.Volume{{Quota: "20M", Reservation: "1M", Compression: "gzip", RecordSize: "16K"}, {}} {
		if err := d.Tune(t.Context(), "7", live, v); err != nil {
			t.Errorf("tune to %q: %v", v.Tuning(), err)
		}
		if seen := find(t, d, live); seen == nil || seen.Tuning != v.Tuning() {
			t.Errorf("tuned, it is shown as %+v", seen)
		}
	}
	if err := d.Promote(t.Context(), "8", clone); err != nil {
		t.Error(err)
	}
	// A new volume is made and lacks its mount, which root gives it.
	created := b.order(plans.Blue, "a1", plans.Volume{})
	created.Name = "more"
	_, err = d.Create(t.Context(), "8", created)
	class(t, err, observed.Refused, "only root mounts")
	if seen := find(t, d, b.root+"/acme/"+leaf(created)); seen != nil && seen.Ready {
		t.Errorf("created and not mounted, it is shown as %+v", seen)
	}
	more := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "9", "a3", []string{live}, nil))[0]
	if err := d.Destroy(t.Context(), "10", more.ID); err != nil {
		t.Error(err)
	}
	if bytes := must[int64](t)(d.Written(t.Context(), live, "")); bytes <= 0 {
		t.Errorf("without root %d bytes are in it", bytes)
	}
}
