package zfs

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// TestSuspended takes the disk of a pool away: commands on it hang in the kernel,
// where no signal reaches them, until the disk is back. What is in another pool is
// seen and served meanwhile.
func TestSuspended(t *testing.T) {
	vm.Only(t)
	dir := t.TempDir()
	run(t, "mount", "-t", "tmpfs", "-o", "size=72M", "disk", dir)
	run(t, "truncate", "-s", "512M", filepath.Join(dir, "img"))
	run(t, "zpool", "create", "-f", "-o", "failmode=wait", "-O", "compression=off", "-O", "mountpoint="+t.TempDir(), "weak", filepath.Join(dir, "img"))
	zfs(t, "create", "weak/root")
	b := &bench{root: "weak/root", mounts: t.TempDir()}
	c := b.config()
	c.Limit = 5 * time.Second
	d := must[*Driver](t)(New(c))
	live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", plans.Volume{})))
	write(t, live.Path, "f", "old")

	other := newBench(t)
	c.Roots = append(c.Roots, other.root)
	before := must[*Driver](t)(New(c))
	want := other.order(plans.Blue, "a1", plans.Volume{})
	want.Tenant = "other"
	elsewhere := must[observed.Dataset](t)(before.Create(t.Context(), "1", want))
	if all := must[[]observed.Dataset](t)(before.Observe(t.Context())); len(all) != 2 {
		t.Fatalf("of two pools this is seen: %+v", all)
	}

	// The disk takes no more than the memory it is in.
	filled := make(chan error, 1)
	go func() {
		noise := make([]byte, 1<<20)
		source := rand.NewChaCha8([32]byte{1})
		f, err := os.Create(filepath.Join(live.Path, "fill"))
		for n := 0; err == nil && n < 96; n++ {
			source.Read(noise)
			if _, err = f.Write(noise); err == nil {
				err = f.Sync()
			}
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		filled <- err
	}()
	for limit := time.Now().Add(2 * time.Minute); run(t, "zpool", "list", "-H", "-o", "health", "weak") != "SUSPENDED"; <-time.After(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the pool is not suspended: ", run(t, "zpool", "status", "weak"))
		}
	}

	_, err := d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil)
	class(t, err, observed.Environment, "zpool clear")
	began := time.Now()
	_, err = d.Observe(t.Context())
	class(t, err, observed.Environment, "zpool clear")
	if took := time.Since(began); took > c.Limit+2*killed {
		t.Errorf("a look at a suspended pool took %s", took)
	}

	_, err = before.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil)
	class(t, err, observed.Environment, "zpool clear")
	seen, err := before.Observe(t.Context())
	var p *observed.Partial
	if !errors.As(err, &p) || len(p.Parts) != 1 || p.Parts["weak"] == nil || len(seen) != 1 || seen[0].ID != elsewhere.ID || !seen[0].Ready {
		t.Errorf("with one of two pools suspended this is seen: %+v, %v", seen, err)
	}
	// A process that begins now may see what is in memory of the pool, or not.
	since := must[*Driver](t)(New(c))
	if seen, _ := since.Observe(t.Context(), "other"); len(seen) != 1 || !seen[0].Ready {
		t.Errorf("a process that begins now sees of the other tenant %+v", seen)
	}
	if _, err := since.Snapshot(t.Context(), "1", "a2", []string{elsewhere.ID}, nil); err != nil {
		t.Error(err)
	}

	run(t, "mount", "-o", "remount,size=600M", dir)
	run(t, "zpool", "clear", "weak")
	if err := <-filled; err != nil {
		t.Error(err)
	}
	for limit := time.Now().Add(2 * time.Minute); ; <-time.After(50 * time.Millisecond) {
		if _, err := d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil); err == nil {
			break
		} else if time.Now().After(limit) {
			t.Fatalf("the disk is back, and: %v", err)
		}
	}
	if seen := find(t, d, live.ID); seen == nil || !seen.Ready || read(t, live.Path, "f") != "old" {
		t.Errorf("after all that it is shown as %+v", seen)
	}
	run(t, "zpool", "destroy", "-f", "weak")
	run(t, "umount", dir)
}
