package caddy

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// recorder is an upstream that keeps the headers it saw and lies about itself.
type recorder struct {
	mu   sync.Mutex
	seen []http.Header
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, req.Header.Clone())
	w.Header().Set(wire.SlotHeader, "green")
	w.Header().Set(wire.RevisionHeader, "12345")
}

// TestMarks: right or wrong, no mark reaches an upstream; only a right one is
// answered, and an upstream cannot answer for us.
func TestMarks(t *testing.T) {
	p, upstream := newProxy(t), new(recorder)
	s := httptest.NewServer(upstream)
	defer s.Close()
	rev := p.put(t, entry("acme", "acme.test", plans.Blue, s.Listener.Addr().String(), "127.0.0.1:1"))
	a, err := p.router.Check(t.Context(), "acme.test", "/x")
	if err != nil || a.Slot != plans.Blue || a.Revision != rev || a.Status != 200 {
		t.Errorf("a right mark is answered %+v, %v", a, err)
	}
	for _, mark := range []string{"Reconcile wrong", "Reconcile ", "Basic abc", wire.MarkScheme} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://acme.test/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(wire.MarkHeader, mark)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get(wire.RevisionHeader); got != "12345" {
			t.Errorf("mark %q is answered with revision %q, which only the upstream knows", mark, got)
		}
	}
	upstream.mu.Lock()
	defer upstream.mu.Unlock()
	if len(upstream.seen) != 5 {
		t.Errorf("the upstream got %d requests, want 5", len(upstream.seen))
	}
	for _, h := range upstream.seen {
		if v, there := h[wire.MarkHeader]; there {
			t.Errorf("the upstream saw a mark %q", v)
		}
	}
	if u := p.see(t, "acme").Slots[plans.Blue]; u.Requests != 4 {
		t.Errorf("counted %d requests, want 4 without ours", u.Requests)
	}
}

// TestCheckOfSomethingElse: a web server that is not our proxy proves nothing.
func TestCheckOfSomethingElse(t *testing.T) {
	p := newProxy(t)
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	router, err := New(Config{Admin: p.socket(), Proxy: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := router.Check(t.Context(), "acme.test", "/"); observed.ClassOf(err) != observed.Environment {
		t.Errorf("error %v, want an environment problem", err)
	}
	a, err := p.router.Check(t.Context(), "unknown.test", "/")
	if err != nil || a.Status != 404 || a.Slot != plans.NoSlot || a.Revision != 0 {
		t.Errorf("an unknown host is checked as %+v, %v", a, err)
	}
}

// TestCertificatesOnDemand: a host of a tenant gets one, another host none,
// and no configuration changes.
func TestCertificatesOnDemand(t *testing.T) {
	p, upstream := newProxy(t), new(recorder)
	p.kill(t)
	secure := freeAddress(t)
	p.ListenTLS, p.InternalCA = []string{secure}, true
	p.start(t)
	s := httptest.NewServer(upstream)
	defer s.Close()
	order := entry("acme", "acme.test", plans.Blue, s.Listener.Addr().String(), "127.0.0.1:1")
	dial := func(host string) error {
		c, err := tls.Dial("tcp", secure, &tls.Config{ServerName: host, InsecureSkipVerify: true})
		if err == nil {
			err = c.Close()
		}
		return err
	}
	if err := dial("acme.test"); err == nil {
		t.Error("a certificate was made for a host no tenant has")
	}
	rev := p.put(t, order)
	if err := dial("acme.test"); err != nil {
		t.Errorf("no certificate for a tenant's host: %v", err)
	}
	router, err := New(Config{Admin: p.socket(), Proxy: "https://" + secure})
	if err != nil {
		t.Fatal(err)
	}
	a, err := router.Check(t.Context(), "acme.test", "/")
	if err != nil || a.Slot != plans.Blue || a.Revision != rev {
		t.Errorf("checked over TLS: %+v, %v", a, err)
	}
}

// TestH2C: clients may speak HTTP/2 without TLS, many requests on one connection.
func TestH2C(t *testing.T) {
	p := newProxy(t)
	u := newUpstream(t, "here", new(load.Ledger))
	p.put(t, entry("acme", "acme.test", plans.Blue, u.address, u.address))
	c := p.client()
	c.Transport.(*http.Transport).Protocols = new(http.Protocols)
	c.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	for range 3 {
		res, err := c.Get("http://acme.test/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.Body.Close() != nil || res.ProtoMajor != 2 || string(body) != "here" {
			t.Errorf("%s %q, %v", res.Proto, body, err)
		}
	}
}

// TestCutWebsocket: a drain's deadline ends what would stay open for ever.
func TestCutWebsocket(t *testing.T) {
	p := newProxy(t)
	u := newUpstream(t, "here", new(load.Ledger))
	p.put(t, entry("acme", "acme.test", plans.Blue, u.address, u.address))
	ws, _, err := websocket.Dial(t.Context(), "ws://acme.test/echo", &websocket.DialOptions{HTTPClient: p.client()})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if s := p.see(t, "acme").Slots[plans.Blue]; s.InFlight != 1 || s.Writes != 1 {
		t.Errorf("an open websocket is seen as %+v, want it in flight and counted as a write", s)
	}
	p.put(t, entry("acme", "acme.test", plans.Green, u.address, u.address))
	if n, err := p.router.Cut(t.Context(), "cut", "acme", plans.Blue); n != 1 || err != nil {
		t.Errorf("cut %d, %v", n, err)
	}
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("the websocket is still open")
	}
	until(t, "blue drained", func() bool { return p.see(t, "acme").Slots[plans.Blue].InFlight == 0 })
}
