package outcomes

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// A port that another process has is not chosen; one that was chosen before and
// is taken meanwhile stops the change, and names who has it.
func chosenPort(t *testing.T) {
	w := newWorld(t, process, nil)
	f := w.of(fleet{})
	w.commit("ant", f.files())
	first := w.port("ant", plans.Blue)
	l := w.take(first)
	w.pass(0)
	w.fleet = f
	w.is(outcome{state: "converged", serves: "1.0"})
	if got := w.address("ant", plans.Blue); got == first {
		t.Errorf("ant has port %d, which another process has", got)
	}
	l.Close()

	w.upgrade("1.1") // to green; blue stays for the way back, and stopped
	w.pass(0)
	w.take(w.address("ant", plans.Blue))
	w.upgrade("1.2")
	w.pass(3, fmt.Sprintf("port %d is in use by process %d", w.address("ant", plans.Blue), os.Getpid()), "stop what uses it")
	w.is(outcome{state: "heldBack", reason: "failed", serves: "1.1", says: []string{"stop what uses it"}})
}

// A port the plan fixes is never replaced by another one.
func fixedPort(t *testing.T) {
	w := newWorld(t, process, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	f := w.of(fleet{spec: fmt.Sprintf("  slots: {blue: {ports: {app/http: %d}}}\n", port)})
	w.commit("ant with a port of its own", f.files())
	says := []string{fmt.Sprintf("port %d is in use by process %d", port, os.Getpid()), "stop what uses it, or fix another port under slots.SLOT.ports"}
	w.pass(3, append(says, "blocked  ant: ")...)
	q := w.is(outcome{state: "heldBack", reason: "failed", says: says}).Question
	if q == nil {
		t.Fatal("no question is asked")
	}
	l.Close()
	w.commit("the port is free again", map[string]string{"retry.yaml": decision(q.ID, "retry")})
	w.pass(0)
	w.is(outcome{state: "converged", serves: "1.0"})
	if got := w.address("ant", plans.Blue); got != port {
		t.Errorf("ant has port %d, and the plan fixes %d", got, port)
	}
}

// A good answer on the port counts only if the instance itself gives it.
func stranger(t *testing.T) {
	w := newWorld(t, process, nil)
	f := w.of(fleet{within: "4s", env: []string{"LISTEN: 127.0.0.2"}})
	w.commit("ant listens where nobody asks", f.files())
	port := w.port("ant", plans.Blue)
	w.daemon()
	w.until("instance", enough, func() string {
		if len(w.started("ant")) == 0 {
			return "none is there"
		}
		return ""
	})
	var served atomic.Int32
	l := w.take(port)
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			served.Add(1)
		}
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	w.comes(outcome{state: "heldBack", reason: "failed", says: []string{"but not by this instance", fmt.Sprintf("process %d", os.Getpid())}})
	if _, err := w.Ask(w.ctx, "ant.example.com", "/"); err == nil || served.Load() > 0 {
		t.Errorf("the stranger answered %d requests: %v", served.Load(), err)
	}
	if e := w.table().Routes["ant"].Entry; e.Slot != plans.NoSlot {
		t.Errorf("ant is routed: %+v", e)
	}
}

// port is the one the dry-run names for a slot of a tenant.
func (w *world) port(tenant string, slot plans.Slot) int {
	w.Helper()
	r := w.run("--dry-run", "-o", "json")
	var p agent.Preview
	if err := json.Unmarshal([]byte(r.Stdout), &p); err != nil {
		w.Fatalf("dry-run: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	for _, port := range p.Ports {
		if port.Key.Tenant == tenant && port.Key.Slot == slot {
			return port.Port
		}
	}
	w.Fatalf("the dry-run names no port of %s/%s:\n%s", tenant, slot, r.Stdout)
	return 0
}

// address is the port the route table has for a slot of a tenant.
func (w *world) address(tenant string, slot plans.Slot) int {
	w.Helper()
	for _, r := range w.table().Routes[tenant].Entry.Routes {
		if _, port, err := net.SplitHostPort(r.Address[slot]); err == nil {
			n, err := strconv.Atoi(port)
			if err != nil {
				w.Fatal(err)
			}
			return n
		}
	}
	w.Fatalf("%s has no address in %s", tenant, slot)
	return 0
}

// take listens on a port of this host, as another process would.
func (w *world) take(port int) net.Listener {
	w.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { l.Close() })
	return l
}
