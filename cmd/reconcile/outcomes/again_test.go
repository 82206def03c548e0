package outcomes

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// A second pass over a fleet that is where the plan wants it writes nowhere:
// not to the proxy, not to the engine, and in the state directory nothing but
// what says that it was there.
func secondPass(t *testing.T)       { again(t, process) }
func secondPassDocker(t *testing.T) { again(t, engine) }

func again(t *testing.T, runtime string) {
	engineCalls := &ledger{}
	w := newWorld(t, runtime, func(c *stage.Config) {
		if runtime == engine {
			c.DockerHost = "unix://" + engineCalls.listen(t, strings.TrimPrefix(c.DockerHost, "unix://"), filepath.Join(c.Dir, "engine.sock"))
		}
	})
	w.settle(fleet{tenants: []string{"ant", "bee", "cat"}})
	proxyCalls := &ledger{}
	admin := proxyCalls.listen(t, w.TheProxy().Socket, filepath.Join(w.Dir, "admin.sock"))
	w.configure("  caddy:\n", "  caddy:\n    admin: "+admin+"\n")
	w.pass(0) // learns the new socket
	engineCalls.reset()
	proxyCalls.reset()
	leftOut := func(path string) bool {
		rel := strings.TrimPrefix(path, w.State)
		// The journal's clock, who holds the lock, and what git looked up.
		return rel == "/journal.db" || rel == "/lock" || rel == "" || strings.HasPrefix(rel, "/repo.git")
	}
	before := tree(t, w.State, leftOut)
	w.pass(0, "No changes. Every tenant is where the plan wants it.")
	if m := moved(before, tree(t, w.State, leftOut)); len(m) > 0 {
		t.Errorf("a second pass changed files:\n  %s", strings.Join(m, "\n  "))
	}
	proxyCalls.noWrites(t, "proxy")
	if runtime == engine {
		engineCalls.noWrites(t, "engine")
	}
}

// ledger counts the calls that go through a socket.
type ledger struct {
	mu            sync.Mutex // guards all below
	reads, writes []string
}

// listen forwards what comes in at a socket to another one.
func (l *ledger) listen(t *testing.T, to, at string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		FlushInterval: -1, // events come as they happen
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "socket"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", to)
		}},
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.note(r.Method, r.URL.RequestURI())
		forward.ServeHTTP(w, r)
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return at
}

func (l *ledger) note(method, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if method == http.MethodGet || method == http.MethodHead {
		l.reads = append(l.reads, what)
	} else {
		l.writes = append(l.writes, method+" "+what)
	}
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads, l.writes = nil, nil
}

func (l *ledger) noWrites(t *testing.T, name string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%s: %d reads, %d writes", name, len(l.reads), len(l.writes))
	if len(l.writes) > 0 {
		t.Errorf("a second pass writes to the %s:\n  %s", name, strings.Join(l.writes, "\n  "))
	}
	if len(l.reads) == 0 {
		t.Errorf("nothing was read from the %s: the calls are not counted", name)
	}
}
