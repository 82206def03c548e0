package caddy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/plans"
)

// upstream is a slot's server. While it is closed, no request may reach it.
type upstream struct {
	address string
	closed  atomic.Bool
	late    atomic.Int64 // requests that came while it was closed
	hits    atomic.Int64
}

func newUpstream(t testing.TB, name string, ledger *load.Ledger) *upstream {
	t.Helper()
	u := new(upstream)
	h := load.Handler(name, ledger)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.hits.Add(1)
		if u.closed.Load() {
			u.late.Add(1)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	u.address = s.Listener.Addr().String()
	return u
}

// clean fails the test unless every request was answered and every post counted once.
func clean(t *testing.T, r load.Result, ledger *load.Ledger) {
	t.Helper()
	t.Log(r)
	if r.Failed() != 0 {
		t.Errorf("%d failed: %q", r.Failed(), r.Errors())
	}
	if lost, doubled := ledger.Compare(r.Posted); len(lost)+len(doubled) != 0 {
		t.Errorf("posts lost %q, doubled %q", lost, doubled)
	}
	for _, k := range load.Kinds {
		if r.Kinds[k].OK == 0 && load.Default[k] > 0 {
			t.Errorf("no %s was answered", k)
		}
	}
}

// TestSwitchUnderLoad switches 200 times while the tenant gets every kind of
// short request, and another one a slow stream and a websocket.
func TestSwitchUnderLoad(t *testing.T) {
	const switches = 200
	p, ledger, others := newProxy(t), new(load.Ledger), new(load.Ledger)
	blue, green := newUpstream(t, "blue", ledger), newUpstream(t, "green", ledger)
	other := newUpstream(t, "other", others)
	p.put(t, entry("acme", "acme.test", plans.Blue, blue.address, green.address))
	p.put(t, entry("other", "other.test", plans.Blue, other.address, other.address))

	busy := load.Start(t.Context(), load.Config{Proxy: p.address, Host: "acme.test", Think: -1, Workers: map[load.Kind]int{load.Get: 4, load.Post: 2, load.Fresh: 2, load.Stream: 1}})
	calm := load.Start(t.Context(), load.Config{Proxy: p.address, Host: "other.test"})
	slot, slowest := plans.Blue, time.Duration(0)
	for n := range switches {
		before := busy.Result().Sent()
		until(t, "some requests between two switches", func() bool { return busy.Result().Sent() > before+20 })
		slot = slot.Other()
		began := time.Now()
		rev := p.put(t, entry("acme", "acme.test", slot, blue.address, green.address))
		slowest = max(slowest, time.Since(began))
		if a, err := p.router.Check(t.Context(), "acme.test", "/"); err != nil || a.Slot != slot || a.Revision != rev {
			t.Fatalf("switch %d: answered by %+v (%v), want %s at %d", n, a, err, slot, rev)
		}
	}
	result, quiet := busy.Stop(), calm.Stop()
	t.Logf("%d switches, slowest %s with its read before", switches, slowest)
	if result.Kinds[load.Stream].OK == 0 {
		t.Error("no stream ended")
	}
	for _, k := range []load.Kind{load.Socket} {
		result.Kinds[k] = load.Count{OK: 1} // other.test has them
	}
	clean(t, result, ledger)
	clean(t, quiet, others)
	if blue.hits.Load() == 0 || green.hits.Load() == 0 {
		t.Errorf("blue got %d requests, green %d", blue.hits.Load(), green.hits.Load())
	}
}

// TestHoldUnderLoad goes through 20 quiesced switches: hold, drain, the old
// slot is closed for 300 ms, switch and release in one.
func TestHoldUnderLoad(t *testing.T) {
	const holds, closed = 20, 300 * time.Millisecond
	p, ledger := newProxy(t), new(load.Ledger)
	slots := map[plans.Slot]*upstream{plans.Blue: newUpstream(t, "blue", ledger), plans.Green: newUpstream(t, "green", ledger)}
	order := entry("acme", "acme.test", plans.Blue, slots[plans.Blue].address, slots[plans.Green].address)
	slots[plans.Green].closed.Store(true)
	p.put(t, order)

	// No streams: one that lasts longer than the drain is cut, by design.
	busy := load.Start(t.Context(), load.Config{Proxy: p.address, Host: "acme.test", Workers: map[load.Kind]int{load.Get: 4, load.Post: 4, load.Fresh: 4}})
	for n := range holds {
		order.Hold = &plans.Hold{ID: fmt.Sprint("hold-", n), Limit: plans.Duration(time.Minute)}
		p.put(t, order)
		until(t, "in flight is 0", func() bool {
			r := p.see(t, "acme")
			return r.Held && r.Slots[order.Slot].InFlight == 0
		})
		slots[order.Slot].closed.Store(true)
		hits := slots[plans.Blue].hits.Load() + slots[plans.Green].hits.Load()
		time.Sleep(closed) // what a final snapshot and a start take
		if now := slots[plans.Blue].hits.Load() + slots[plans.Green].hits.Load(); now != hits {
			t.Errorf("hold %d: %d requests reached a slot in it", n, now-hits)
		}
		before := busy.Result().Sent()
		order.Slot, order.Hold = order.Slot.Other(), nil
		slots[order.Slot].closed.Store(false)
		p.put(t, order)
		until(t, "requests go on", func() bool { return busy.Result().Sent() > before+20 })
	}
	result := busy.Stop()
	t.Log(result)
	if lost, doubled := ledger.Compare(result.Posted); result.Failed()+len(lost)+len(doubled) != 0 {
		t.Errorf("%d failed %q, posts lost %q, doubled %q", result.Failed(), result.Errors(), lost, doubled)
	}
	for slot, u := range slots {
		if late := u.late.Load(); late != 0 {
			t.Errorf("%d requests reached %s while it was closed", late, slot)
		}
	}
}

// TestExpiredHoldRefusesItsSwitch: what was decided while nothing was written
// does not go through when something was.
func TestExpiredHoldRefusesItsSwitch(t *testing.T) {
	p, ledger := newProxy(t), new(load.Ledger)
	blue, green := newUpstream(t, "blue", ledger), newUpstream(t, "green", ledger)
	order := entry("acme", "acme.test", plans.Blue, blue.address, green.address)
	p.put(t, order)
	order.Hold = &plans.Hold{ID: "h", Limit: plans.Duration(50 * time.Millisecond)}
	rev := p.put(t, order)
	until(t, "the hold expired", func() bool { return p.see(t, "acme").Expired })

	order.Hold, order.Slot = nil, plans.Green
	_, err := p.router.Set(t.Context(), "switch", order, rev)
	wantConflict(t, err)
	if _, err := p.router.Set(t.Context(), "switch", order, p.see(t, "acme").Revision); err != nil {
		t.Errorf("decided after a look: %v", err)
	}
}

// client leads every connection to the proxy.
func (r *running) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", r.address)
	}}}
}
