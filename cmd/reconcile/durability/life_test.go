package durability

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// The life of a tenant over several boots of the VM: TestCuts starts it.
const (
	lifeVariable = "DURABILITY_LIFE"
	upgrading    = "upgrading" // until the power is cut
	ending       = "ending"    // settles, and compares with acknowledgedFile

	serves           = "serves version"
	lifePort         = 8080
	acknowledgedFile = "acknowledged"
)

// TestLife is what a VM runs whose power is cut: a daemon, and one upgrade after
// the other.
func TestLife(t *testing.T) {
	vm.Only(t)
	mode := os.Getenv(lifeVariable)
	if mode == "" {
		t.Skip("is started by TestCuts")
	}
	w := newLife(t)
	last := w.resume()
	d, err := w.Daemon(w.ctx)
	w.must(err)
	defer func() {
		w.must(d.Stop())
		if t.Failed() {
			t.Logf("the daemon's log ends:\n%s", d.Log())
		}
	}()
	for n := last; ; n++ {
		w.until("the newest version serves", func() bool { return w.version() == fmt.Sprint(n) })
		if mode == ending {
			w.end()
			return
		}
		fmt.Println(serves, n)
		w.release(fmt.Sprint(n+1), nil)
		syscall.Sync()
	}
}

// newLife is the world of a life; what an earlier boot left of it is on the disk
// and in the pool.
func newLife(t *testing.T) *world {
	w := bare(t, plan{fleet: "life", mode: "quiesce", more: oneKept})
	w.onPool("tank/life")
	if exec.CommandContext(w.ctx, "zfs", "list", w.pool).Run() != nil {
		w.zfs("create", w.pool)
	}
	// The plans stand for those of a server elsewhere: they outlive the power. Of
	// itself git does not wait for the disk.
	for k, v := range map[string]string{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsync", "GIT_CONFIG_VALUE_0": "all"} {
		t.Setenv(k, v)
	}
	dir := "/disk/life"
	whole := filepath.Join(dir, "whole")
	if _, err := os.Stat(whole); err != nil {
		w.must(os.RemoveAll(dir))
	}
	w.must(removeLocks(filepath.Join(dir, "plans.git")))
	registry, err := images.NewRegistry("127.0.0.1:5000")
	w.must(err)
	t.Cleanup(func() { registry.Close() })
	c := w.config(dir)
	c.Listen, c.Ports, c.Registry = fmt.Sprint("0.0.0.0:", lifePort), "10000-10099", registry
	w.Stage, err = stage.New(w.ctx, c)
	w.must(err)
	// What takes a push does not get the environment of who pushes.
	w.must(exec.CommandContext(w.ctx, "git", "-C", filepath.Join(dir, "plans.git"), "config", "core.fsync", "all").Run())
	syscall.Sync()
	w.must(os.WriteFile(whole, nil, 0o600))
	syscall.Sync()
	return w
}

// removeLocks removes what git leaves where it was interrupted.
func removeLocks(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".lock") {
			return os.Remove(path)
		}
		return err
	})
}

// resume pushes the images the plan may still want, and returns the number of
// the newest version; the first it plans itself.
func (w *world) resume() int {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, "git", "log", "--format=%s")
	cmd.Dir = w.Work
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "does not have any commits yet") {
		w.release("0", nil)
		syscall.Sync()
		return 0
	}
	w.must(err)
	last := strings.Count(string(out), "ant on ") - 1
	for n := max(last-2, 0); n <= last; n++ {
		_, err := w.Image(w.ctx, "writer", fmt.Sprint(n), nil)
		w.must(err)
	}
	return last
}

// version is what answers now, "" where nothing does.
func (w *world) version() string {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	text, err := w.Ask(ctx, host, "/")
	if err != nil {
		return ""
	}
	return text
}

// end waits until the newest version serves alone, and looks at what is left.
func (w *world) end() {
	w.t.Helper()
	w.until("ant is converged", func() bool {
		s, err := w.Status(w.ctx)
		return err == nil && s.Tenant("ant").State == "converged"
	})
	b, err := os.ReadFile("/vm/" + acknowledgedFile)
	w.must(err)
	w.holds(strings.Fields(string(b)))
	w.swept()
}

// swept wants the pool to come to hold what serves and the one of each kind that
// its retention keeps, and no more: whatever attempts were cut off.
func (w *world) swept() {
	w.t.Helper()
	current := w.explain().Record.Data["ledger"].Dataset
	if mounted := w.zfs("get", "-H", "-o", "value", "mounted", current); mounted != "yes" {
		w.t.Errorf("the current dataset %s is mounted: %s", current, mounted)
	}
	list := func() string {
		return w.zfs("list", "-H", "-r", "-t", "filesystem,snapshot", "-o", "name,reconcile:role,origin", w.pool)
	}
	defer func() { w.t.Logf("left in the pool, serving %s:\n%s", current, list()) }()
	w.until("the rest is swept", func() bool {
		number := map[string]int{}
		for line := range strings.Lines(list()) {
			f := strings.Fields(line)
			switch name, role := f[0], f[1]; {
			case name == w.pool, name == w.pool+"/ant": // folders
			case role == string(observed.Live) && name != current:
				return false
			default:
				number[role]++
			}
		}
		// The clone that is kept aside may hang on a snapshot of its own.
		return number[string(observed.Live)] == 1 && number[string(observed.Discarded)] <= 1 && number[string(observed.Origin)] <= 2 && len(number) <= 3
	})
}
