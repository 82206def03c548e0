package drivertest

import (
	"maps"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Router) set(t *testing.T) {
	rt := h.New(t)
	e, p := h.entry(t, "a", "a.test/")
	rev := put(t, rt, e, 0)
	r := h.see(t, rt, "a")
	switch {
	case rev == 0 || r.Revision != rev:
		t.Errorf("observed at revision %d, Set said %d", r.Revision, rev)
	case r.Entry.Tenant != "a" || r.Entry.Slot != plans.Blue || len(r.Entry.Routes) != 1 || r.Held || r.Expired:
		t.Errorf("observed as %+v", r)
	case r.Entry.Routes[0].Address[plans.Green] != p.green.Address:
		t.Errorf("addresses %v", r.Entry.Routes[0].Address)
	}
	h.want(t, "a.test", "/", 200, "a blue")
	h.want(t, "a.test", "/x/y?q", 200, "a blue")
}

func (h Router) setEqual(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	e.Hold = &plans.Hold{ID: "h1", Limit: far}
	rev := put(t, rt, e, 0)
	for _, stale := range []uint64{0, rev, rev + 7} {
		if now := put(t, rt, e, stale); now != rev {
			t.Errorf("an equal entry given with revision %d moved %d to %d", stale, rev, now)
		}
	}
}

func (h Router) setConflict(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	first := put(t, rt, e, 0)
	e.Slot = plans.Green
	second := put(t, rt, e, first)
	if second <= first {
		t.Errorf("revision %d after %d", second, first)
	}
	e.Slot = plans.Blue
	for _, stale := range []uint64{0, first, second + 1} {
		_, err := rt.Set(bound(t), "id", e, stale)
		wantClass(t, err, observed.Conflict)
	}
	if r := h.see(t, rt, "a"); r.Entry.Slot != plans.Green || r.Revision != second {
		t.Errorf("a conflict changed the entry: %+v", r)
	}
	other, _ := h.entry(t, "b", "b.test/")
	_, err := rt.Set(bound(t), "id", other, second)
	wantClass(t, err, observed.Conflict)
}

func (h Router) switchSlot(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	rev := put(t, rt, e, 0)
	for n := range 20 {
		e.Slot = e.Slot.Other()
		rev = put(t, rt, e, rev)
		h.want(t, "a.test", "/", 200, "a "+string(e.Slot))
		a, err := rt.Check(bound(t), "a.test", "/")
		ok(t, err)
		if want := (drivers.Answer{Slot: e.Slot, Revision: rev, Status: 200}); a != want {
			t.Fatalf("switch %d: a marked request says %+v, want %+v", n, a, want)
		}
	}
}

func (h Router) several(t *testing.T) {
	rt := h.New(t)
	e, p := h.entry(t, "a", "a.test/", "a.test/api", "www.a.test/")
	api := h.Backend(t, "a api")
	e.Routes[1].Service = "api"
	e.Routes[1].Address = map[plans.Slot]string{plans.Blue: api.Address}
	rev := put(t, rt, e, 0)
	h.want(t, "a.test", "/", 200, "a blue")
	h.want(t, "www.a.test", "/api", 200, "a blue")
	h.want(t, "a.test", "/api", 200, "a api")
	h.want(t, "a.test", "/api/v1", 200, "a api")
	h.want(t, "a.test", "/apix", 200, "a blue")
	// Addresses, slot and routes change as one.
	e.Slot = plans.Green
	e.Routes = e.Routes[:2]
	e.Routes[1].Address = map[plans.Slot]string{plans.Green: p.green.Address}
	put(t, rt, e, rev)
	h.want(t, "a.test", "/api", 200, "a green")
	h.want(t, "www.a.test", "/", 404, "")
}

func (h Router) noSlot(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	e.Slot = plans.NoSlot
	put(t, rt, e, 0)
	r := h.finish(t, h.Send(t, "GET", "a.test", "/"))
	if r.Status != 503 || r.RetryAfter == "" {
		t.Errorf("a tenant without slot answers %d with Retry-After %q, want 503 and some", r.Status, r.RetryAfter)
	}
}

func (h Router) unknown(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/deep")
	put(t, rt, e, 0)
	h.want(t, "b.test", "/", 404, "")
	h.want(t, "x.a.test", "/deep", 404, "")
	h.want(t, "a.test", "/", 404, "")
}

func (h Router) claimed(t *testing.T) {
	rt := h.New(t)
	a, _ := h.entry(t, "a", "a.test/", "both.test/a")
	put(t, rt, a, 0)
	b, _ := h.entry(t, "b", "a.test/")
	_, err := rt.Set(bound(t), "id", b, 0)
	wantClass(t, err, observed.Refused)
	h.want(t, "a.test", "/", 200, "a blue")
	b, _ = h.entry(t, "b", "both.test/b")
	put(t, rt, b, 0)
	h.want(t, "both.test", "/a", 200, "a blue")
	h.want(t, "both.test", "/b", 200, "b blue")
}

func (h Router) delete(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	first := put(t, rt, e, 0)
	e.Slot = plans.Green
	rev := put(t, rt, e, first)
	wantClass(t, rt.Delete(bound(t), "1", "a", first), observed.Conflict)
	h.want(t, "a.test", "/", 200, "a green")
	ok(t, rt.Delete(bound(t), "2", "a", rev))
	ok(t, rt.Delete(bound(t), "2", "a", rev))
	ok(t, rt.Delete(bound(t), "3", "nobody", 0))
	h.want(t, "a.test", "/", 404, "")
	routes, _, err := rt.Observe(bound(t))
	ok(t, err)
	if len(routes) != 0 {
		t.Errorf("left over: %+v", routes)
	}
	if again := put(t, rt, e, 0); again <= rev {
		t.Errorf("made again at revision %d, it was at %d before", again, rev)
	}
	h.want(t, "a.test", "/", 200, "a green")
}

func (h Router) filter(t *testing.T) {
	rt := h.New(t)
	for _, name := range []string{"a", "b", "c"} {
		e, _ := h.entry(t, name, name+".test/")
		put(t, rt, e, 0)
	}
	for _, c := range []struct{ ask, want []string }{
		{nil, []string{"a", "b", "c"}}, {[]string{"b"}, []string{"b"}}, {[]string{"c", "a", "z"}, []string{"a", "c"}},
	} {
		routes, _, err := rt.Observe(bound(t), c.ask...)
		ok(t, err)
		want := map[string]bool{}
		for _, name := range c.want {
			want[name] = true
		}
		got := map[string]bool{}
		for name, r := range routes {
			got[name] = r.Entry.Tenant == name
		}
		if !maps.Equal(got, want) {
			t.Errorf("of %q: %v, want %v", c.ask, got, want)
		}
	}
}

func (h Router) claim(t *testing.T) {
	rt := h.New(t)
	controller := func() string {
		_, id, err := rt.Observe(bound(t))
		ok(t, err)
		return id
	}
	if id := controller(); id != "" {
		t.Errorf("a fresh table belongs to %q", id)
	}
	ok(t, rt.Claim(bound(t), "me"))
	ok(t, rt.Claim(bound(t), "me"))
	if id := controller(); id != "me" {
		t.Errorf("claimed by me and owned by %q", id)
	}
	if h.Reopen != nil {
		rt = h.Reopen(t)
		if id := controller(); id != "me" {
			t.Errorf("a new process sees owner %q", id)
		}
	}
}

func (h Router) restart(t *testing.T) {
	if h.Restart == nil {
		t.Skip("the harness cannot restart the data plane")
	}
	rt := h.New(t)
	ok(t, rt.Claim(bound(t), "me"))
	a, _ := h.entry(t, "a", "a.test/")
	a.Slot = plans.Green
	rev := put(t, rt, a, 0)
	b, _ := h.entry(t, "b", "b.test/")
	put(t, rt, b, 0)
	b.Hold = &plans.Hold{ID: "h1", Limit: soon}
	held := put(t, rt, b, h.see(t, rt, "b").Revision)
	h.Restart(t)
	h.want(t, "a.test", "/", 200, "a green")
	// The hold's limit goes on; what was held is released by the data plane.
	h.want(t, "b.test", "/", 200, "b blue")
	if r := h.see(t, rt, "a"); r.Revision != rev || r.Entry.Slot != plans.Green {
		t.Errorf("after a restart: %+v, want revision %d", r, rev)
	}
	if r := h.see(t, rt, "b"); r.Revision < held || !r.Expired || r.Held {
		t.Errorf("after a restart: %+v, want an expired hold, not before revision %d", r, held)
	}
	if _, id, err := rt.Observe(bound(t)); err != nil || id != "me" {
		t.Errorf("after a restart it belongs to %q (%v)", id, err)
	}
	a.Slot = plans.Blue
	if now := put(t, rt, a, rev); now <= held {
		t.Errorf("revision %d after %d", now, held)
	}
}
