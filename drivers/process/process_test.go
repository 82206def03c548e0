package process_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/plans"
)

func TestMain(m *testing.M) {
	process.Reexec()
	if root := os.Getenv(envVictim); root != "" {
		os.Exit(victim(root, os.Getenv(envImage)))
	}
	os.Exit(run(m))
}

// hub is the registry of all tests of this package, with one binary in it.
var hub struct {
	dir        string
	reg        *images.Registry
	bin, guest func() (string, error)

	mu   sync.Mutex
	refs map[drivertest.Image]string
}

func run(m *testing.M) int {
	var err error
	// Not t.TempDir: another user must be able to reach it.
	if hub.dir, err = os.MkdirTemp("", "process-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(hub.dir)
	if hub.reg, err = images.NewRegistry("127.0.0.1:0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer hub.reg.Close()
	hub.refs = map[drivertest.Image]string{}
	hub.bin = sync.OnceValues(func() (string, error) {
		if bin := os.Getenv(envServe); bin != "" {
			return bin, nil
		}
		return images.BuildServe(context.Background(), hub.dir)
	})
	hub.guest = sync.OnceValues(func() (string, error) {
		if bin := os.Getenv(envGuest); bin != "" {
			return bin, nil
		}
		out := filepath.Join(hub.dir, "guest")
		cmd := exec.Command("go", "build", "-trimpath", "-o", out, "./internal/guest")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if b, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build guest: %w\n%s", err, b)
		}
		return out, nil
	})
	return m.Run()
}

// The programs of the images, where they were built before.
const (
	envServe = "PROCESS_TEST_SERVE"
	envGuest = "PROCESS_TEST_GUEST"
)

// image pushes a test image, once.
func image(t *testing.T, kind drivertest.Image) string {
	t.Helper()
	hub.mu.Lock()
	defer hub.mu.Unlock()
	if ref := hub.refs[kind]; ref != "" {
		return ref
	}
	bin, err := hub.bin()
	if err != nil {
		t.Fatal(err)
	}
	spec := images.Spec{Binary: bin}
	switch kind {
	case drivertest.Serve:
		spec.Healthcheck = true
	case drivertest.Serve2:
		spec.Files = map[string]string{"etc/two": "2"}
	case drivertest.Exit0:
		spec.Cmd = []string{"exit", "0"}
	case drivertest.Exit3:
		spec.Cmd = []string{"exit", "3"}
	case drivertest.Missing:
		return hub.reg.Addr + "/missing@sha256:" + strings.Repeat("ab", 32)
	case drivertest.OtherPlatform:
		spec.Architecture = "mips"
	case drivertest.Unreachable:
		return "127.0.0.1:1/nobody@sha256:" + strings.Repeat("cd", 32)
	}
	ref, err := hub.reg.Push(t.Context(), "test/"+strings.ToLower(string(kind)), "1", spec)
	if err != nil {
		t.Fatal(err)
	}
	hub.refs[kind] = ref
	return ref
}

// hosts are the roots of the tests under way, by test.
var hosts sync.Map

func newRuntime(t *testing.T, root string, limits process.Limits) *process.Runtime {
	t.Helper()
	rt, err := process.New(process.Config{
		Root: root, Limits: limits, Owner: drivers.Owner{Fleet: "test", Node: "here", Controller: "one"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return rt
}

// host makes a runtime on a fresh root, and proves at the end of the test that
// nothing is left of it.
func host(t *testing.T) *process.Runtime {
	t.Helper()
	return hostWith(t, filepath.Join(t.TempDir(), "run"), process.Limits{})
}

func hostWith(t *testing.T, root string, limits process.Limits) *process.Runtime {
	t.Helper()
	hosts.Store(t.Name(), root)
	t.Cleanup(func() { nothingLeft(t, root) })
	t.Cleanup(func() { cleanUp(t, root) })
	return newRuntime(t, root, limits)
}

func rootOf(t *testing.T) string {
	root, ok := hosts.Load(t.Name())
	if !ok {
		t.Fatal("the test made no host")
	}
	return root.(string)
}

func reopen(t *testing.T) drivers.Runtime { return newRuntime(t, rootOf(t), process.Limits{}) }

func dirOf(t *testing.T, key plans.Key) string {
	return filepath.Join(rootOf(t), "instances", key.Tenant+"."+string(key.Slot)+"."+key.Service)
}

// foreign makes a directory that bears an instance's name.
func foreign(t *testing.T, key plans.Key) func() error {
	dir := dirOf(t, key)
	file := filepath.Join(dir, "precious")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	return func() error {
		b, err := os.ReadFile(file)
		if err == nil && string(b) != "mine" {
			err = fmt.Errorf("%s was changed to %q", file, b)
		}
		return err
	}
}

// crash kills the command of an instance, and leaves its shim alone.
func crash(t *testing.T, key plans.Key) {
	t.Helper()
	for _, p := range processes(t, rootOf(t)) {
		if p.key == key.String() && !p.shim {
			if err := unix.Kill(p.pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no process of %s", key)
}

func TestRuntime(t *testing.T) {
	t.Parallel()
	drivertest.RunRuntime(t, drivertest.Runtime{
		New:     func(t *testing.T) drivers.Runtime { return host(t) },
		Image:   image,
		Reopen:  reopen,
		Foreign: foreign,
		Crash:   crash,
		Reboot: func(t *testing.T) drivers.Runtime {
			for _, p := range processes(t, rootOf(t)) {
				if p.shim {
					kill(t, p.pid)
				}
			}
			return reopen(t)
		},
	})
}
