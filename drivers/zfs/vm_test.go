package zfs

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
)

var (
	only = flag.String("only", "", "tests to run in the VM: a pattern as for -run")
	all  = flag.Bool("all", false, "the whole suite on zvols, too")
)

// TestInVM runs the tests of this package that need a pool.
func TestInVM(t *testing.T) {
	c := vm.Config{Pool: "tank"}
	if *only != "" {
		c.Command = []string{"-test.run=" + *only}
	}
	if *all {
		c.Command = append(c.Command, "-all")
	}
	vm.Tests(t, c)
}

var owner = drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}

var roots atomic.Int64

// bench is a root of its own in the pool of the VM.
type bench struct {
	root, mounts string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	vm.Only(t)
	n := roots.Add(1)
	b := &bench{root: "tank/t" + string(rune('a'+n/26)) + string(rune('a'+n%26)), mounts: t.TempDir()}
	zfs(t, "create", b.root)
	t.Cleanup(func() {
		for _, line := range lines(zfs(t, "list", "-H", "-r", "-t", "volume", "-o", "reconcile:mountpoint", b.root)) {
			exec.Command("umount", line).Run()
		}
		zfs(t, "destroy", "-R", "-f", b.root)
	})
	return b
}

func (b *bench) config() Config {
	return Config{Roots: []string{b.root}, Mounts: b.mounts, Owner: owner}
}

func (b *bench) open(t testing.TB) *Driver {
	t.Helper()
	d, err := New(b.config())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// zfs runs a command of the test's own, beside the driver.
func zfs(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, "zfs", args...)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func lines(out string) []string {
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
