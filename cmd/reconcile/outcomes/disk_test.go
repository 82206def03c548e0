package outcomes

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// A full disk is nobody's fault: the old version serves, a person is told what
// has no space, and with space again it goes on by itself. An image that has no
// room by what its manifest says is not begun.
func imagesFull(t *testing.T) {
	w, disk := tight(t, 48)
	before, free := w.started("ant"), left(t, disk)
	big := make([]byte, 48<<20)
	rand.Read(big)
	w.fleet.image = w.made("1.1", images.Spec{Files: map[string]string{"big": string(big)}})
	w.template("an image larger than the disk")
	w.comes(outcome{state: "unknown", serves: "1.0", says: []string{" free in " + disk, "a floor of 4.0 MiB kept free for undoing",
		"nobody's release is to blame", "lower keepFree in this host's configuration", "tries again at "}})
	if now := left(t, disk); now < free-1<<20 {
		t.Errorf("an image that has no room took %d bytes", free-now)
	}
	w.same("ant", before)
	resize(t, disk, 512)
	w.comes(outcome{state: "converged", serves: "1.1"})
}

// One that compresses better than anybody could know fills the disk in the middle.
func imagesFill(t *testing.T) {
	w, disk := tight(t, 48)
	before := w.started("ant")
	w.fleet.image = w.made("1.1", images.Spec{Files: map[string]string{"zeros": strings.Repeat("\x00", 56<<20)}})
	w.template("an image that unpacks to more than the disk")
	w.comes(outcome{state: "unknown", serves: "1.0", says: []string{"no space left on device", "nobody's release is to blame",
		"free some space on the disk of " + disk, "tries again at "}})
	w.same("ant", before)
	resize(t, disk, 256)
	w.comes(outcome{state: "converged", serves: "1.1"})
}

// tight is a host at work on 1.0, with its images on a disk of so many MiB.
func tight(t *testing.T, mib int) (w *world, disk string) {
	w = newWorld(t, process, func(c *stage.Config) { disk = small(t, filepath.Join(c.Dir, "state", "process"), mib) })
	w.configure("drivers:\n", "keepFree: 4M\ndrivers:\n")
	w.settle(fleet{})
	w.daemon()
	return w, disk
}

func volumesFull(t *testing.T) {
	var disk string
	w := newWorld(t, process, func(c *stage.Config) { disk = small(t, filepath.Join(c.Dir, "state", "volumes"), 96) })
	w.settle(fleet{volume: "{onUpgrade: clone, writes: quiesce}"})
	before := w.started("ant")
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	w.daemon()
	w.upgrade("1.1")
	w.comes(outcome{state: "unknown", serves: "1.0", says: []string{"MiB free for volume notes, 64.0 MiB needed", "free some space", "it goes on by itself"}})
	w.same("ant", before)
	resize(t, disk, 256)
	w.comes(outcome{state: "converged", serves: "1.1"})
}

// Where not even a commit can be fetched, the last accepted plan stays in force.
func stateFull(t *testing.T) {
	w := newWorld(t, process, func(c *stage.Config) {
		small(t, filepath.Join(c.Dir, "state"), 16)
		small(t, filepath.Join(c.Dir, "state", "process"), 256)
	})
	w.configure("drivers:\n", "keepFree: 1M\ndrivers:\n")
	w.settle(fleet{})
	before := w.started("ant")
	filler := filepath.Join(w.State, "filler")
	fill(t, filler)
	w.upgrade("1.1")
	r := w.run()
	for _, s := range []string{"no space left on device", "free some space on the disk that holds " + w.State} {
		if !strings.Contains(r.Stdout+r.Stderr, s) {
			t.Errorf("a pass without space does not say %q:\n%s%s", s, r.Stdout, r.Stderr)
		}
	}
	w.answers("ant", "1.0")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.same("ant", before)
	w.pass(0)
	w.is(outcome{state: "converged", serves: "1.1"})

	// The same for a daemon that is at work while its disk fills up.
	d := w.daemon()
	fill(t, filler)
	w.upgrade("1.2")
	w.until("the daemon meets the full disk", enough, func() string {
		if log := d.Log(); !strings.Contains(log, "no space left on device") {
			return log
		}
		return ""
	})
	w.answers("ant", "1.1")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.until("upgrade", enough, func() string {
		if got, err := w.Ask(w.ctx, "ant.example.com", "/"); err != nil || !strings.Contains(got, "version=1.2 ") {
			return fmt.Sprint(got, err)
		}
		return ""
	})
}

// small mounts a disk of so many MiB until the row is over.
func small(t *testing.T, dir string, mib int) string {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("a small disk can be mounted by root alone")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=755", mib)); err != nil {
		t.Fatalf("mount %s: %v", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// left is what is free on a disk.
func left(t *testing.T, dir string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

func resize(t *testing.T, dir string, mib int) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%dm,mode=755", mib)); err != nil {
		t.Fatalf("remount %s: %v", dir, err)
	}
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4<<10); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
