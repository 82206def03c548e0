package dir_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

var owner = drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}

func driver(t *testing.T, root string) *dir.Driver {
	t.Helper()
	d, err := dir.New(dir.Config{Root: root, Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func order(slot plans.Slot, attempt string, role observed.Role) drivers.VolumeOrder {
	return drivers.VolumeOrder{Tenant: "acme", Name: "data", Slot: slot, Attempt: attempt, Role: role, Volume: plans.Volume{Source: "tenants/acme"}}
}

func create(t *testing.T, d *dir.Driver, o drivers.VolumeOrder) observed.Dataset {
	t.Helper()
	set, err := d.Create(t.Context(), "id", o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// lives is a live volume with one of every kind of file in it.
func lives(t *testing.T, d *dir.Driver) observed.Dataset {
	set := create(t, d, order(plans.Blue, "a1", observed.Live))
	old := time.Date(2001, 2, 3, 4, 5, 6, 789, time.UTC)
	in := func(name string) string { return filepath.Join(set.Path, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(in("deep/er"), 0o750))
	must(os.WriteFile(in("deep/er/file"), []byte("content"), 0o640))
	must(os.Link(in("deep/er/file"), in("hard")))
	must(os.Symlink("/etc/passwd", in("escape")))
	must(os.Symlink("deep/er/file", in("soft")))
	must(unix.Mkfifo(in("fifo"), 0o620))
	must(os.WriteFile(in("run"), []byte("#!"), 0o755))
	must(os.WriteFile(in("empty"), nil, 0o600))
	f, err := os.Create(in("sparse"))
	must(err)
	_, err = f.WriteAt([]byte("middle"), 8<<20)
	must(err)
	must(f.Truncate(64 << 20))
	must(f.Close())
	if os.Getuid() == 0 {
		must(os.Chown(in("run"), 1234, 2345))
		must(os.Lchown(in("soft"), 12, 34))
		must(unix.Mknod(in("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	}
	must(os.Chmod(in("run"), 0o755|os.ModeSetuid))
	if os.Getuid() == 0 {
		// net_raw, permitted and effective: what ping has.
		must(unix.Setxattr(in("run"), "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	}
	must(os.WriteFile(in("frozen"), []byte("read only"), 0o600))
	must(unix.Setxattr(in("frozen"), "user.note", []byte("on what nobody may write"), 0))
	must(os.Chmod(in("frozen"), 0o400))
	must(unix.Setxattr(in("hard"), "user.note", []byte("kept"), 0))
	must(unix.Setxattr(in("deep"), "user.note", []byte("on a folder"), 0))
	must(os.Chtimes(in("deep/er/file"), old, old))
	must(os.Chtimes(in("deep"), old, old))
	return set
}

// listing describes a tree: everything that a copy must keep.
func listing(t *testing.T, root string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `find . -type d -printf '%p %y %m %U:%G %T@\n' | sort; find . ! -type d -printf '%p %y %m %U:%G %s %n %l %T@\n' | sort; getfattr -R -h -d -m '' . | grep -v '^$'; find . -type f | sort | xargs sha256sum`)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestCopyIsFaithful(t *testing.T) {
	d := driver(t, t.TempDir())
	set := lives(t, d)
	before := listing(t, set.Path)
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var last drivers.Progress
	clone, err := d.Clone(t.Context(), "id", snaps[0].ID, order(plans.Green, "a2", observed.Live), func(p drivers.Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	if after := listing(t, clone.Path); after != before {
		t.Errorf("the copy differs:\n%s\nfrom:\n%s", after, before)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(clone.Path, "sparse"), &st); err != nil || st.Blocks*512 > 1<<20 {
		t.Errorf("the sparse file takes %d bytes (%v): holes were filled", st.Blocks*512, err)
	}
	a, _ := os.Stat(filepath.Join(clone.Path, "hard"))
	b, _ := os.Stat(filepath.Join(clone.Path, "deep/er/file"))
	if !os.SameFile(a, b) {
		t.Error("a hard link became a copy")
	}
	if last.Done == 0 || last.Done < last.Total {
		t.Errorf("progress ended at %+v", last)
	}
	if err := os.WriteFile(filepath.Join(clone.Path, "deep/er/file"), []byte("new"), 0o640); err != nil {
		t.Fatal(err)
	}
	if after := listing(t, set.Path); after != before {
		t.Error("writing to the clone changed the original")
	}
}

// TestCopyOfDefaultACL: what a folder gives to new files is not given to copies of
// those that were there before it.
func TestCopyOfDefaultACL(t *testing.T) {
	d := driver(t, t.TempDir())
	o := order(plans.Blue, "a1", observed.Live)
	o.Volume.Copy.Parallel = 8
	set := create(t, d, o)
	// user::rwx, user:1234:rwx, group::r-x, mask::rwx, other::---
	const acl = "\x02\x00\x00\x00" + "\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\xd2\x04\x00\x00" +
		"\x04\x00\x05\x00\xff\xff\xff\xff" + "\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"
	for i := range 200 {
		dir := filepath.Join(set.Path, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("made before"), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Setxattr(dir, "system.posix_acl_default", []byte(acl), 0); errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("the filesystem has no access control lists")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if before, after := listing(t, set.Path), listing(t, snaps[0].Path); after != before {
		t.Errorf("the copy differs:\n%s\nfrom:\n%s", after, before)
	}
}

func TestReflink(t *testing.T) {
	root := t.TempDir()
	image, mount := filepath.Join(root, "image"), filepath.Join(root, "mnt")
	for _, cmd := range [][]string{{"truncate", "-s", "400M", image}, {"mkfs.xfs", "-q", image}, {"mkdir", mount}, {"mount", "-o", "loop", image, mount}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%v: %v\n%s", cmd, err, out)
			}
			t.Skipf("needs root, xfsprogs and loop devices: %v: %v %s", cmd, err, out)
		}
	}
	t.Cleanup(func() { exec.Command("umount", "-l", mount).Run() })
	d := driver(t, mount)
	if !d.Traits().CheapClone {
		t.Fatal("xfs shares blocks, and the driver does not see it")
	}
	set := lives(t, d)
	big := filepath.Join(set.Path, "big")
	if err := os.WriteFile(big, make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := d.Free(t.Context(), plans.Volume{})
	if err != nil {
		t.Fatal(err)
	}
	before := listing(t, set.Path)
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if after := listing(t, snaps[0].Path); after != before {
		t.Errorf("the copy differs:\n%s\nfrom:\n%s", after, before)
	}
	now, err := d.Free(t.Context(), plans.Volume{})
	if err != nil {
		t.Fatal(err)
	}
	if used := free - now; used > 8<<20 {
		t.Errorf("a copy of 64 MiB by reflink took %d bytes", used)
	}
}

func TestHalfMadeCloneIsMadeAgain(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	set := lives(t, d)
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := order(plans.Green, "a2", observed.Live)
	clone, err := d.Clone(t.Context(), "id", snaps[0].ID, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What a crash in the middle of the copy leaves: the mark says so, and the
	// data are partly there.
	mark := filepath.Join(root, ".reconcile", clone.ID+".json")
	text, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mark, []byte(strings.Replace(string(text), `"ready": true`, `"ready": false`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(clone.Path, clone.Path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(clone.Path+".new", "hard")); err != nil { // the part not copied yet
		t.Fatal(err)
	}
	d = driver(t, root)
	seen, err := d.Observe(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seen {
		if s.ID == clone.ID && s.Ready {
			t.Error("a half made clone is shown as ready")
		}
	}
	if _, err := d.Clone(t.Context(), "id", snaps[0].ID, want, nil); err != nil {
		t.Fatal(err)
	}
	if listing(t, clone.Path) != listing(t, snaps[0].Path) {
		t.Error("the clone made again differs from its snapshot")
	}
	if _, err := os.Stat(clone.Path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the half made copy is still there")
	}
}

// TestSnapshotsAreOneAct: where the snapshot of one volume could not be taken, that of
// another from before is not put beside the one that is taken later.
func TestSnapshotsAreOneAct(t *testing.T) {
	root(t, "needs root to mount")
	root := t.TempDir()
	d := driver(t, root)
	one := order(plans.Blue, "a1", observed.Live)
	two := one
	two.Name, two.Volume.Source = "logs", "logs/acme"
	ids := []string{}
	var paths []string
	for _, o := range []drivers.VolumeOrder{one, two} {
		set := create(t, d, o)
		ids, paths = append(ids, set.ID), append(paths, set.Path)
	}
	fill := func(text string) {
		t.Helper()
		for _, path := range paths {
			put(t, filepath.Join(path, "file"), text)
		}
	}
	fill("before")
	at := filepath.Join(paths[1], "mounted")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	if _, err := d.Snapshot(t.Context(), "id", "a2", ids, nil); err == nil {
		t.Fatal("a volume with another filesystem in it was copied")
	}
	if err := unix.Unmount(at, 0); err != nil {
		t.Fatal(err)
	}
	fill("after") // nothing was at rest meanwhile
	for range 2 {
		snaps, err := driver(t, root).Snapshot(t.Context(), "id", "a2", ids, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range snaps {
			wantText(t, filepath.Join(s.Path, "file"), "after")
		}
		fill("later")
	}
}

// TestPromotionCutOff: a process died before it wrote down that a promotion was done.
// The clone stands alone, and all of both can go, in the usual order.
func TestPromotionCutOff(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	set := lives(t, d)
	snaps, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	clone, err := d.Clone(t.Context(), "id", snaps[0].ID, order(plans.Green, "a2", observed.Live), nil)
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(root, ".reconcile", clone.ID+".json")
	before, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Promote(t.Context(), "id", clone.ID); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mark, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := seen(t, root, clone.ID); s == nil || s.Origin != "" {
		t.Errorf("the clone is seen as %+v", s)
	}
	if s := seen(t, root, snaps[0].ID); s == nil || s.Origin != clone.ID || len(s.Clones) > 0 {
		t.Errorf("the snapshot is seen as %+v", s)
	}
	for _, id := range []string{set.ID, snaps[0].ID, clone.ID} {
		if err := driver(t, root).Destroy(t.Context(), "id", id); err != nil {
			t.Error(err)
		}
	}
}

// doom writes into a dataset's mark what a process that died in a destroy leaves
// there.
func doom(t *testing.T, root, id string) {
	t.Helper()
	mark := filepath.Join(root, ".reconcile", id+".json")
	text, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mark, []byte(strings.Replace(string(text), `"ready": true`, `"ready": true, "doomed": true`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDestroyRefusedHalfWay: one file cannot be removed. What is left is shown until
// it can, and goes then.
func TestDestroyRefusedHalfWay(t *testing.T) {
	root(t, "needs root to make a file immutable")
	root := t.TempDir()
	d := driver(t, root)
	set := lives(t, d)
	thaw := immutable(t, filepath.Join(set.Path, "deep/er/file"))
	err := d.Destroy(t.Context(), "id", set.ID)
	if observed.ClassOf(err) != observed.Refused || !strings.Contains(fmt.Sprint(err), "deep/er/file") {
		t.Errorf("got %v, want it refused and the file named", err)
	}
	if s := seen(t, root, set.ID); s == nil || !s.Doomed || s.Ready {
		t.Fatalf("half destroyed and seen as %+v", s)
	}
	if err := driver(t, root).Destroy(t.Context(), "id", set.ID); observed.ClassOf(err) != observed.Refused {
		t.Errorf("tried again too early: %v", err)
	}
	thaw()
	if err := driver(t, root).Destroy(t.Context(), "id", set.ID); err != nil {
		t.Error(err)
	}
	if s := seen(t, root, set.ID); s != nil {
		t.Errorf("destroyed and seen as %+v", s)
	}
	if _, err := os.Lstat(filepath.Dir(set.Path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

// immutable makes a file one that even root cannot remove, until thaw is called.
func immutable(t *testing.T, path string) (thaw func()) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	was, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		t.Skipf("the filesystem has no immutable files: %v", err)
	}
	flags := func(n int) error { return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, n) }
	const immutable = 0x10 // FS_IMMUTABLE_FL
	if err := flags(was | immutable); err != nil {
		t.Skipf("the filesystem has no immutable files: %v", err)
	}
	thaw = func() { _ = flags(was) }
	t.Cleanup(func() { thaw(); f.Close() })
	return thaw
}

func TestOwnerAndMode(t *testing.T) {
	root(t, "needs root to give files away")
	d := driver(t, t.TempDir())
	o := order(plans.Shared, "a1", observed.Live)
	o.Volume.Owner, o.Volume.Mode = "1001:1002", "2770"
	set := create(t, d, o)
	var st unix.Stat_t
	if err := unix.Stat(set.Path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != 1001 || st.Gid != 1002 || st.Mode&0o7777 != 0o2770 {
		t.Errorf("owner %d:%d mode %o, want 1001:1002 2770", st.Uid, st.Gid, st.Mode&0o7777)
	}
}

func TestRefusals(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	check := func(name string, err error, class observed.Class, text string) {
		t.Helper()
		if err == nil || observed.ClassOf(err) != class || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v (%s), want class %s and %q", name, err, observed.ClassOf(err), class, text)
		}
	}
	for _, source := range []string{"../outside", "/etc", "a/../../b", ".reconcile/x"} {
		o := order(plans.Blue, "a1", observed.Live)
		o.Volume.Source = source
		_, err := d.Create(t.Context(), "id", o)
		check("source "+source, err, observed.Refused, "not below")
	}
	o := order(plans.Blue, "a1", observed.Live)
	set := create(t, d, o)
	if err := d.Destroy(t.Context(), "id", set.ID); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(filepath.Dir(set.Path), "precious")
	if err := os.MkdirAll(filepath.Dir(foreign), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := d.Create(t.Context(), "id", o)
	check("foreign data", err, observed.Refused, "not ours")
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("foreign data were touched: %v", err)
	}
	o.Volume = plans.Volume{Source: "absent", Import: true}
	_, err = d.Create(t.Context(), "id", o)
	check("import of nothing", err, observed.Refused, "no such directory")

	other, err := dir.New(dir.Config{Root: root, Owner: drivers.Owner{Fleet: "other", Node: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	mine := create(t, d, order(plans.Green, "a1", observed.Live))
	if seen, _ := other.Observe(t.Context()); len(seen) != 0 {
		t.Errorf("another fleet sees %v", seen)
	}
	if err := other.Destroy(t.Context(), "id", mine.ID); err != nil {
		t.Errorf("destroying what is not there for it: %v", err)
	}
	if _, err := os.Stat(mine.Path); err != nil {
		t.Errorf("another fleet destroyed our data: %v", err)
	}
}

func TestImport(t *testing.T) {
	root := t.TempDir()
	d := driver(t, root)
	path := filepath.Join(root, "legacy/acme")
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "file"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := order(plans.Shared, "a1", observed.Live)
	o.Volume = plans.Volume{Source: "legacy/acme", Import: true}
	set := create(t, d, o)
	if set.Path != path || !set.Ready {
		t.Errorf("imported %+v, want %s", set, path)
	}
	if again := create(t, d, o); again.ID != set.ID {
		t.Errorf("imported twice: %s and %s", set.ID, again.ID)
	}
}

func TestDestroyRefusesWhatIsMounted(t *testing.T) {
	root(t, "needs root to mount")
	d := driver(t, t.TempDir())
	set := lives(t, d)
	// A mount namespace of its own, as an instance has: our own mount table
	// does not show it.
	cmd := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-c", `mount --bind "$0" /mnt && echo mounted && read line`, set.Path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	err = d.Destroy(t.Context(), "id", set.ID)
	if err == nil || observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), "mounted by") {
		t.Errorf("got %v, want it refused and the user named", err)
	}
	in.Close()
	cmd.Wait()
	if err := d.Destroy(t.Context(), "id", set.ID); err != nil {
		t.Errorf("unmounted: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(set.Path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	root(t, "needs root to mount a small tmpfs")
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	d := driver(t, root)
	set := create(t, d, order(plans.Blue, "a1", observed.Live))
	if err := os.WriteFile(filepath.Join(set.Path, "file"), []byte(strings.Repeat("x", 3<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil)
	if err == nil || observed.ClassOf(err) != observed.Environment || !strings.Contains(err.Error(), "no space") {
		t.Fatalf("got %v, want class environment", err)
	}
	if err := os.Remove(filepath.Join(set.Path, "file")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Snapshot(t.Context(), "id", "a2", []string{set.ID}, nil); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

// root skips what root alone can do, and fails where it must be there.
func root(t *testing.T, why string) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}
