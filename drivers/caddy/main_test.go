package caddy

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// binary is the real reconcile-caddy, built for these tests.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "reconcile-caddy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "reconcile-caddy")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, "github.com/gitops-fleet/reconcile/cmd/reconcile-caddy")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build reconcile-caddy: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// running is a proxy of a test's own.
type running struct {
	Proxy
	pid     int
	address string
	router  *Router
}

// newProxy starts a fresh proxy that ends with the test.
func newProxy(t testing.TB) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "rc-") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &running{address: freeAddress(t)}
	r.Proxy = Proxy{Binary: binary, Dir: dir, Listen: []string{r.address}}
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

// start starts it, or adopts it if it runs.
func (r *running) start(t testing.TB) {
	t.Helper()
	got, err := Start(t.Context(), r.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	r.pid = got.PID
	r.router = r.open(t)
}

func (r *running) open(t testing.TB) *Router {
	t.Helper()
	router, err := New(Config{Admin: r.socket(), Proxy: r.address, Owner: drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// kill ends it at once and waits until its table is free.
func (r *running) kill(t testing.TB) {
	t.Helper()
	if r.pid == 0 {
		return
	}
	if err := syscall.Kill(r.pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	unlock, err := alone(ctx, filepath.Join(r.Dir, tableName, lockName))
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	r.pid = 0
}

// put sets an entry at whatever revision its tenant is.
func (r *running) put(t testing.TB, e plans.Entry) uint64 {
	t.Helper()
	rev, err := r.router.Set(context.Background(), "put", e, r.see(t, e.Tenant).Revision)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func (r *running) see(t testing.TB, tenant string) observed.Route {
	t.Helper()
	routes, _, err := r.router.Observe(context.Background(), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return routes[tenant]
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// entry leads host to a slot, with an address for each.
func entry(tenant, host string, slot plans.Slot, blue, green string) plans.Entry {
	return plans.Entry{Tenant: tenant, Slot: slot, Routes: []plans.EntryRoute{{
		Host: host, Path: "/", Service: "app",
		Address: map[plans.Slot]string{plans.Blue: blue, plans.Green: green},
	}}}
}

// until polls until cond holds, or fails the test after a while.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still not: %s", what)
		}
	}
}
