package docker_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
	"github.com/gitops-fleet/reconcile/drivers/room"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// smallEngine is an engine whose images are on a disk of so many MiB.
func smallEngine(t *testing.T, mib int) (e *dockertest.Engine, disk string) {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("a small disk can be mounted by root alone")
	}
	disk, err := os.MkdirTemp("", "dkt")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(disk) })
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)))
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	return engineIn(t, disk), disk
}

// leave fills a disk until so much is free, and returns what makes room again.
func leave(t *testing.T, disk string, want int64) (room func()) {
	t.Helper()
	file := filepath.Join(disk, "fill")
	must(t, os.WriteFile(file, make([]byte, freeOn(t, disk)-want), 0o600))
	return func() { must(t, os.Remove(file)) }
}

func freeOn(t *testing.T, disk string) int64 {
	t.Helper()
	free, err := room.Free(disk)
	must(t, err)
	return free
}

// An image is not begun where the engine's disk has no room for what its
// repository's newest takes here, and the floor besides.
func TestPullProvesRoom(t *testing.T) {
	const mib = 1 << 20
	e, disk := smallEngine(t, 96)
	var l ledger
	rt := openAs(t, docker.Config{Host: e.Host, State: t.TempDir(), Owner: owner, KeepFree: 8 * mib, Each: l.note})
	b := bed(t)
	refs, repo := b.builds, b.registry.Addr+"/builds"
	refused := func(ref string, says ...string) {
		t.Helper()
		l.since()
		before := freeOn(t, disk)
		p := problem(t, rt.Pull(bound(t), ref, nil), observed.Environment, append(says, "MiB free in "+disk+"/d, ", "a floor of 8.0 MiB kept free for undoing")...)
		for _, s := range []string{"docker system df", "lower keepFree", "goes on by itself"} {
			if !strings.Contains(p.Hint, s) {
				t.Errorf("hint %q does not say %q", p.Hint, s)
			}
		}
		if asked := l.since(); slices.ContainsFunc(asked, func(s string) bool { return strings.HasPrefix(s, "POST ") }) {
			t.Errorf("the engine was asked for %q", asked)
		}
		if took := before - freeOn(t, disk); took > 64<<10 {
			t.Errorf("a pull that was not begun took %d bytes", took)
		}
	}

	// Nothing is known of it: the floor alone counts.
	makeRoom := leave(t, disk, 7*mib)
	refused(refs[0], "8.0 MiB needed: 0 B for the image (none of "+repo+" is here to guess by)")
	makeRoom()
	must(t, rt.Pull(bound(t), refs[0], nil))

	// It is expected to take what the one before takes.
	size := sizeOf(t, e, refs[0])
	makeRoom = leave(t, disk, 8*mib+size-mib)
	refused(refs[1], fmt.Sprintf("(the newest of %s here takes %.1f MiB)", repo, float64(size)/mib))
	makeRoom()
	makeRoom = leave(t, disk, 8*mib+size+mib)
	defer makeRoom()
	must(t, rt.Pull(bound(t), refs[0], nil)) // here, so nothing is needed
	must(t, rt.Pull(bound(t), refs[1], nil))
}

func sizeOf(t *testing.T, e *dockertest.Engine, ref string) int64 {
	t.Helper()
	name, digest, _ := strings.Cut(ref, "@")
	got, err := bare(t, e).ImageInspect(bound(t), name[:strings.LastIndex(name, ":")]+"@"+digest)
	must(t, err)
	return got.Size
}

// A disk that fills up in the middle is waited for as well.
func TestDiskFull(t *testing.T) {
	e, disk := smallEngine(t, 12)
	rt := openAs(t, docker.Config{Host: e.Host, State: t.TempDir(), Owner: owner, KeepFree: -1})
	fill := filepath.Join(disk, "fill")
	must(t, os.WriteFile(fill, make([]byte, 8<<20), 0o600))
	problem(t, rt.Pull(bound(t), serveImage(t), nil), observed.Environment, "no space left")
	must(t, os.Remove(fill))
	want := serve(t, "acme", plans.Blue, "app")
	start(t, rt, want)
}
