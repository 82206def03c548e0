package dir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// imports is the order of another tenant that takes over source.
func imports(source string) drivers.VolumeOrder {
	return drivers.VolumeOrder{Tenant: "bad", Name: "all", Slot: plans.Shared, Attempt: "a1", Role: observed.Live,
		Volume: plans.Volume{Source: source, Import: true}}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, path, text string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != text {
		t.Errorf("%s is %q, %v; want %q", path, b, err, text)
	}
}

// TestImportTakesNothingOfAnother: what holds other volumes, or lies in one, cannot
// be taken over, however it is spelled and whatever link leads to it.
func TestImportTakesNothingOfAnother(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	live := create(t, d, order(plans.Blue, "a1", observed.Live))
	file := filepath.Join(live.Path, "ledger")
	put(t, file, "acknowledged")
	put(t, filepath.Join(live.Path, "sub/x"), "")
	theirs, err := dir.New(dir.Config{Root: root, Owner: drivers.Owner{Fleet: "other", Node: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	o := imports("")
	o.Volume = plans.Volume{Source: "foreign"}
	create(t, theirs, o)
	put(t, filepath.Join(root, "legacy/acme/file"), "old")
	before := imports("legacy/acme")
	before.Tenant = "legacy"
	create(t, d, before)
	for link, to := range map[string]string{"to-acme": live.Path, "to-root": root, "to-above": filepath.Dir(root), "to-marks": filepath.Join(root, ".reconcile")} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	below, err := filepath.Rel(root, live.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"", ".", "./", "tenants", "tenants/", "tenants/acme", "tenants//acme/.", filepath.Dir(below), below, below + "/sub", ".reconcile",
		"foreign", "legacy", "legacy/acme", "to-acme", "to-acme/sub", "to-root", "to-root/tenants", "to-above", "to-marks", "../" + filepath.Base(root), root, root + "/tenants"} {
		set, err := d.Create(t.Context(), "id", imports(source))
		if err == nil {
			t.Errorf("imported %q: %+v", source, set)
			if err := d.Destroy(t.Context(), "id", set.ID); err != nil {
				t.Error(err)
			}
			continue
		}
		if observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), "import") && !strings.Contains(err.Error(), "not below") {
			t.Errorf("%q: %v (%s), want it refused", source, err, observed.ClassOf(err))
		}
	}
	wantText(t, file, "acknowledged")
	// Nor is anything made in what was taken over.
	inside := order(plans.Blue, "a1", observed.Live)
	inside.Tenant, inside.Volume.Source = "late", "legacy/acme/late"
	if set, err := d.Create(t.Context(), "id", inside); err == nil || observed.ClassOf(err) != observed.Refused {
		t.Errorf("made %+v, %v in an imported directory", set, err)
	}
}

// TestTheEndOfAnImport: what a person had before us is let go and not deleted, and
// copies of it are made beside it and not in it.
func TestTheEndOfAnImport(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	file := filepath.Join(root, "legacy/acme/file")
	put(t, file, "old")
	o := order(plans.Shared, "a1", observed.Live)
	o.Volume = plans.Volume{Source: "legacy/acme", Import: true}
	set := create(t, d, o)
	if !set.Imported {
		t.Errorf("it does not say that it was taken over: %+v", set)
	}
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, filepath.Join(snaps[0].Path, "file"), "old")
	clone, err := d.Clone(t.Context(), "id", snaps[0].ID, drivers.VolumeOrder{Tenant: "acme", Name: "data", Slot: plans.Green, Attempt: "a2",
		Role: observed.Live, Volume: o.Volume}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if clone.Imported || snaps[0].Imported {
		t.Error("a copy of ours is shown as taken over")
	}
	if err := d.Promote(t.Context(), "id", clone.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.Destroy(t.Context(), "id", set.ID); err != nil {
		t.Fatal(err)
	}
	wantText(t, file, "old")
	if s := seen(t, root, set.ID); s != nil {
		t.Errorf("it is still ours: %+v", s)
	}
	if entries := list(t, filepath.Join(root, "legacy/acme")); len(entries) != 1 {
		t.Errorf("something of ours is left in it: %v", entries)
	}
	// It can be taken over again, by whomever.
	create(t, d, imports("legacy/acme"))
}

// TestDestroyKeepsWhatIsMountedInIt: another filesystem in a folder of ours is not
// ours, and nothing in it is removed.
func TestDestroyKeepsWhatIsMountedInIt(t *testing.T) {
	root(t, "needs root to mount")
	top := t.TempDir()
	d := driver(t, top)
	set := create(t, d, order(plans.Blue, "a1", observed.Live))
	at := filepath.Join(set.Path, "archive")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	put(t, filepath.Join(at, "theirs"), "precious")
	put(t, filepath.Join(set.Path, "ours"), "old")
	for _, doomed := range []bool{false, true} {
		if doomed {
			doom(t, top, set.ID) // it was mounted when its destruction had begun
		}
		err := d.Destroy(t.Context(), "id", set.ID)
		if observed.ClassOf(err) != observed.Refused || !strings.Contains(fmt.Sprint(err), "another filesystem is mounted in it, at "+at) {
			t.Errorf("doomed %v: got %v", doomed, err)
		}
		wantText(t, filepath.Join(at, "theirs"), "precious")
		wantText(t, filepath.Join(set.Path, "ours"), "old")
		if s := seen(t, top, set.ID); s == nil || s.Doomed != doomed {
			t.Errorf("doomed %v and seen as %+v", doomed, s)
		}
	}
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Destroy(t.Context(), "id", set.ID); err != nil {
		t.Error(err)
	}
}

// TestNothingIsForgottenOfAMountThatIsAway: what is half made or half destroyed on a
// disk keeps its mark while that is not mounted, or nobody would own the rest.
func TestNothingIsForgottenOfAMountThatIsAway(t *testing.T) {
	root(t, "needs root to mount")
	top, disk := t.TempDir(), t.TempDir()
	at := filepath.Join(top, "disk")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	mount := func() {
		t.Helper()
		if err := unix.Mount(disk, at, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	}
	mount()
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	d := driver(t, top)
	o := order(plans.Blue, "a1", observed.Live)
	o.Volume.Source = "disk/acme"
	live := create(t, d, o)
	put(t, filepath.Join(live.Path, "file"), "old")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Snapshot(ctx, "id", "a2", []string{live.ID}, nil); err == nil {
		t.Fatal("a cancelled snapshot was taken")
	}
	half := strings.Replace(live.ID, "blue.a1", "blue-origin.a2", 1)
	if s := seen(t, top, half); s == nil || s.Ready {
		t.Fatalf("half made and seen as %+v", s)
	}
	doom(t, top, live.ID)
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{half, live.ID} {
		err := driver(t, top).Destroy(t.Context(), "id", id)
		if observed.ClassOf(err) != observed.Environment || !strings.Contains(fmt.Sprint(err), at+" is not mounted") {
			t.Errorf("%s with its disk away: %v", id, err)
		}
		if seen(t, top, id) == nil {
			t.Errorf("%s is forgotten", id)
		}
	}
	_, err := driver(t, top).Create(t.Context(), "id", o)
	if observed.ClassOf(err) != observed.Environment || len(list(t, at)) > 0 {
		t.Errorf("made on the disk below: %v, %v", list(t, at), err)
	}
	mount()
	for _, id := range []string{half, live.ID} {
		if err := driver(t, top).Destroy(t.Context(), "id", id); err != nil {
			t.Error(err)
		}
	}
	if left := list(t, filepath.Join(disk, "acme")); len(left) > 0 {
		t.Errorf("left on the disk: %v", left)
	}
}
