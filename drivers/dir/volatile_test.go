package dir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// seen is the dataset as a new process sees it, or nil.
func seen(t *testing.T, root, id string) *observed.Dataset {
	t.Helper()
	all, err := driver(t, root).Observe(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// TestVolatileBeginsEmptyInItsPlace: data that a reboot took away are made again
// where they were; without the word volatile they are missing, and stay so.
func TestVolatileBeginsEmptyInItsPlace(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	o := order(plans.Blue, "a1", observed.Live)
	o.Volume.Volatile, o.Volume.Mode = true, "0750"
	first := create(t, d, o)
	if err := os.WriteFile(filepath.Join(first.Path, "accounts"), []byte("in memory"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := create(t, d, o); again.ID != first.ID || len(list(t, first.Path)) != 1 {
		t.Fatalf("data that are there were made anew: %+v", again)
	}
	// The ramdisk below the source is mounted anew.
	if err := os.RemoveAll(filepath.Join(root, o.Volume.Source)); err != nil {
		t.Fatal(err)
	}
	if s := seen(t, root, first.ID); s != nil {
		t.Fatalf("data that are gone are seen as %+v", s)
	}
	later := o
	later.Attempt = "a7" // the attempt that serves by now
	again := create(t, driver(t, root), later)
	if again.ID != first.ID || again.Path != first.Path || len(list(t, again.Path)) != 0 {
		t.Errorf("made %+v, want %s empty at %s", again, first.ID, first.Path)
	}
	if st, err := os.Stat(again.Path); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("its root is %v, %v", st, err)
	}
	if s := seen(t, root, first.ID); s == nil || !s.Ready {
		t.Errorf("seen as %+v", s)
	}
}

// TestVolatileWaitsForItsMount: a ramdisk that a reboot left unmounted is not
// replaced by a folder on the disk it was mounted on.
func TestVolatileWaitsForItsMount(t *testing.T) {
	root(t, "needs root to mount")
	top := t.TempDir()
	disk := filepath.Join(top, "ramdisk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	mount := func() {
		t.Helper()
		if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
			t.Fatal(err)
		}
	}
	mount()
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	o := order(plans.Blue, "a1", observed.Live)
	o.Volume = plans.Volume{Source: "ramdisk/accounts", Volatile: true}
	first := create(t, driver(t, top), o)
	if err := unix.Unmount(disk, 0); err != nil {
		t.Fatal(err)
	}
	_, err := driver(t, top).Create(t.Context(), "id", o)
	if observed.ClassOf(err) != observed.Environment || !strings.Contains(fmt.Sprint(err), disk+" is not mounted") {
		t.Errorf("not mounted: %v (%s)", err, observed.ClassOf(err))
	}
	if left := list(t, disk); len(left) > 0 {
		t.Errorf("the disk below was filled with %v", left)
	}
	mount()
	if again := create(t, driver(t, top), o); again.ID != first.ID || again.Path != first.Path {
		t.Errorf("mounted again: made %+v in place of %+v", again, first)
	}
}

// TestMissingDataAreNotMadeAgain: the dataset that lost its data is never shown as
// made; a person's word makes another one.
func TestMissingDataAreNotMadeAgain(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	o := order(plans.Blue, "a1", observed.Live)
	first := create(t, d, o)
	if err := os.RemoveAll(filepath.Join(root, o.Volume.Source)); err != nil {
		t.Fatal(err)
	}
	o.Attempt = "a1-empty"
	other := create(t, driver(t, root), o)
	if other.ID == first.ID || !other.Ready || len(list(t, other.Path)) != 0 {
		t.Errorf("made %+v in place of %s", other, first.ID)
	}
}

func list(t *testing.T, path string) []os.DirEntry {
	t.Helper()
	all, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestParallelCopyIsFaithful: several files at a time give the same tree, with
// the times of folders that many files were put into at once.
func TestParallelCopyIsFaithful(t *testing.T) {
	d := driver(t, t.TempDir())
	set := lives(t, d)
	for i := range 300 {
		dir := filepath.Join(set.Path, "many", fmt.Sprint(i%7))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), make([]byte, i*100), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, set.Path)
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := order(plans.Green, "a2", observed.Live)
	want.Volume.Copy.Parallel = 8
	var last drivers.Progress
	clone, err := d.Clone(t.Context(), "id", snaps[0].ID, want, func(p drivers.Progress) {
		if p.Done < last.Done {
			t.Errorf("progress went from %d to %d", last.Done, p.Done)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	if after := listing(t, clone.Path); after != before {
		t.Errorf("the copy differs:\n%s\nfrom:\n%s", after, before)
	}
	if last.Done == 0 || last.Done != last.Total {
		t.Errorf("progress ended at %+v", last)
	}
	if n, err := d.Written(t.Context(), clone.ID, snaps[0].ID); err != nil || n != 0 {
		t.Errorf("%d bytes were written to a copy nobody wrote to, %v", n, err)
	}
}

// TestGoneCopyIsMadeAgain: of a copy whose data are gone the mark alone is no copy.
func TestGoneCopyIsMadeAgain(t *testing.T) {
	root := t.TempDir()
	o := order(plans.Blue, "a1", observed.Live)
	o.Volume.Volatile = true
	live := create(t, driver(t, root), o)
	fill := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(live.Path, "accounts"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill("before")
	to := order(plans.Green, "a2", observed.Live)
	to.Volume.Volatile = true
	both := func() (snap, clone observed.Dataset) {
		t.Helper()
		d := driver(t, root)
		snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{live.ID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		clone, err = d.Clone(t.Context(), "id", snaps[0].ID, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		return snaps[0], clone
	}
	snap, clone := both()
	if err := os.RemoveAll(filepath.Join(root, o.Volume.Source)); err != nil { // a ramdisk
		t.Fatal(err)
	}
	d := driver(t, root)
	_, err := d.Snapshot(t.Context(), "id", "a2", []string{live.ID}, nil)
	wantGone(t, err, observed.Environment)
	_, err = d.Clone(t.Context(), "id", snap.ID, to, nil)
	wantGone(t, err, observed.Environment)
	_, err = d.Written(t.Context(), clone.ID, "")
	wantGone(t, err, observed.Conflict)

	create(t, driver(t, root), o)
	fill("after")
	both()
	for _, set := range []observed.Dataset{snap, clone} {
		if b, err := os.ReadFile(filepath.Join(set.Path, "accounts")); err != nil || string(b) != "after" {
			t.Errorf("%s holds %q, %v", set.ID, b, err)
		}
		if s := seen(t, root, set.ID); s == nil || !s.Ready {
			t.Errorf("%s is seen as %+v", set.ID, s)
		}
	}
}

func wantGone(t *testing.T, err error, class observed.Class) {
	t.Helper()
	if observed.ClassOf(err) != class || !strings.Contains(fmt.Sprint(err), "not there any more") {
		t.Errorf("of data that are gone: %v", err)
	}
}

// TestGoneCopyHoldsNothing: copies that a reboot took away do not keep what they
// were made from.
func TestGoneCopyHoldsNothing(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	o := order(plans.Blue, "a1", observed.Live)
	o.Volume.Volatile = true
	live := create(t, d, o)
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{live.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(root, o.Volume.Source)); err != nil { // a ramdisk
		t.Fatal(err)
	}
	live = create(t, driver(t, root), o)
	if s := seen(t, root, live.ID); s == nil || len(s.Clones) > 0 {
		t.Errorf("begun empty and seen as %+v, with %s gone", s, snaps[0].ID)
	}
	if err := driver(t, root).Destroy(t.Context(), "id", live.ID); err != nil {
		t.Error(err)
	}
}
