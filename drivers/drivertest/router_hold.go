package drivertest

import (
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Router) hold(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	other, _ := h.entry(t, "b", "b.test/")
	put(t, rt, other, 0)
	rev := put(t, rt, e, 0)
	e.Hold = &plans.Hold{ID: "h1", Limit: far}
	rev = put(t, rt, e, rev)
	h.wait(t, rt, "a", "the hold confirmed", func(r observed.Route) bool { return r.Held && !r.Expired })
	get := h.Send(t, "GET", "a.test", "/")
	post := h.Send(t, "POST", "a.test", "/")
	h.wait(t, rt, "a", "two waiting", func(r observed.Route) bool { return r.Waiting == 2 })
	for _, c := range []Call{get, post} {
		if r, done := c(); done {
			t.Fatalf("answered in a hold: %+v", r)
		}
	}
	h.want(t, "b.test", "/", 200, "b blue")
	a, err := rt.Check(bound(t), "a.test", "/")
	ok(t, err)
	if a.Slot != plans.Blue || a.Status != 200 {
		t.Errorf("a marked request in a hold says %+v, want blue, 200", a)
	}
	// The switch and the release are one change.
	e.Slot, e.Hold = plans.Green, nil
	put(t, rt, e, rev)
	for _, c := range []Call{get, post} {
		if r := h.finish(t, c); r.Status != 200 || r.Body != "a green" {
			t.Errorf("after the release: %+v, want 200 from a green", r)
		}
	}
	h.wait(t, rt, "a", "nobody waiting", func(r observed.Route) bool { return r.Waiting == 0 && !r.Held && !r.Expired })
}

func (h Router) holdExpires(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	rev := put(t, rt, e, 0)
	e.Hold = &plans.Hold{ID: "h1", Limit: soon}
	put(t, rt, e, rev)
	waiting := h.Send(t, "GET", "a.test", "/")
	// Nobody releases it: the data plane does, to the slot as it then is.
	if r := h.finish(t, waiting); r.Status != 200 || r.Body != "a blue" {
		t.Errorf("after the limit: %+v, want 200 from a blue", r)
	}
	h.wait(t, rt, "a", "the hold expired", func(r observed.Route) bool { return r.Expired && !r.Held })
	h.want(t, "a.test", "/", 200, "a blue")
	// The same hold given again, also in another entry, holds nobody again.
	// The expiry may have a revision of its own (plans.Hold).
	e.Slot = plans.Green
	rev = put(t, rt, e, h.see(t, rt, "a").Revision)
	h.want(t, "a.test", "/", 200, "a green")
	if r := h.see(t, rt, "a"); !r.Expired || r.Held {
		t.Errorf("the same hold again: %+v, want it expired still", r)
	}
	e.Hold = &plans.Hold{ID: "h2", Limit: far}
	rev = put(t, rt, e, rev)
	h.wait(t, rt, "a", "another hold confirmed", func(r observed.Route) bool { return r.Held && !r.Expired })
	e.Hold = nil
	put(t, rt, e, rev)
}

func (h Router) holdQueue(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	e.Hold = &plans.Hold{ID: "h1", Limit: far, Queue: 1}
	rev := put(t, rt, e, 0)
	first := h.Send(t, "GET", "a.test", "/")
	h.wait(t, rt, "a", "one waiting", func(r observed.Route) bool { return r.Waiting == 1 })
	h.want(t, "a.test", "/", 503, "")
	e.Hold = nil
	put(t, rt, e, rev)
	if r := h.finish(t, first); r.Status != 200 {
		t.Errorf("the request that was held: %+v", r)
	}
}

func (h Router) inFlight(t *testing.T) {
	rt := h.New(t)
	e, p := h.entry(t, "a", "a.test/")
	rev := put(t, rt, e, 0)
	slow := h.Send(t, "GET", "a.test", "/slow")
	h.wait(t, rt, "a", "one in flight", func(r observed.Route) bool { return r.Slots[plans.Blue].InFlight == 1 })
	e.Slot = plans.Green
	put(t, rt, e, rev)
	h.want(t, "a.test", "/", 200, "a green")
	if r := h.see(t, rt, "a"); r.Slots[plans.Blue].InFlight != 1 {
		t.Errorf("after the switch: %+v, want blue's request still in flight", r.Slots)
	}
	p.blue.Release()
	if r := h.finish(t, slow); r.Status != 200 || r.Body != "a blue" {
		t.Errorf("the open request: %+v, want 200 from a blue", r)
	}
	h.wait(t, rt, "a", "blue drained", func(r observed.Route) bool { return r.Slots[plans.Blue].InFlight == 0 })
}

func (h Router) cut(t *testing.T) {
	rt := h.New(t)
	e, p := h.entry(t, "a", "a.test/")
	rev := put(t, rt, e, 0)
	old := h.Send(t, "GET", "a.test", "/slow")
	h.wait(t, rt, "a", "one in flight", func(r observed.Route) bool { return r.Slots[plans.Blue].InFlight == 1 })
	e.Slot = plans.Green
	put(t, rt, e, rev)
	young := h.Send(t, "GET", "a.test", "/slow")
	h.wait(t, rt, "a", "one in flight on green", func(r observed.Route) bool { return r.Slots[plans.Green].InFlight == 1 })
	n, err := rt.Cut(bound(t), "1", "a", plans.Blue)
	ok(t, err)
	if n != 1 {
		t.Errorf("cut %d, want 1", n)
	}
	if r := h.finish(t, old); r.Status == 200 {
		t.Errorf("a cut request was answered: %+v", r)
	}
	h.wait(t, rt, "a", "the cut counted", func(r observed.Route) bool {
		return r.Slots[plans.Blue].InFlight == 0 && r.Slots[plans.Blue].Cut == 1
	})
	if n, err = rt.Cut(bound(t), "2", "a", plans.Blue); err != nil || n != 0 {
		t.Errorf("cut %d (%v) of none", n, err)
	}
	if n, err = rt.Cut(bound(t), "3", "nobody", plans.Blue); err != nil || n != 0 {
		t.Errorf("cut %d (%v) of nobody", n, err)
	}
	p.green.Release()
	if r := h.finish(t, young); r.Status != 200 {
		t.Errorf("the other slot's request: %+v", r)
	}
}

func (h Router) usage(t *testing.T) {
	rt := h.New(t)
	e, _ := h.entry(t, "a", "a.test/")
	rev := put(t, rt, e, 0)
	for _, method := range []string{"GET", "POST", "HEAD", "DELETE"} {
		h.finish(t, h.Send(t, method, "a.test", "/"))
	}
	_, err := rt.Check(bound(t), "a.test", "/")
	ok(t, err)
	h.wait(t, rt, "a", "4 requests, 2 of them writes, and none of ours", func(r observed.Route) bool {
		u := r.Slots[plans.Blue]
		return u.Requests == 4 && u.Writes == 2 && u.Errors == 0 && u.InFlight == 0
	})
	e.Slot = plans.Green
	rev = put(t, rt, e, rev)
	h.finish(t, h.Send(t, "POST", "a.test", "/"))
	h.wait(t, rt, "a", "one write on green", func(r observed.Route) bool { return r.Slots[plans.Green].Writes == 1 })
	// A slot counts from when it was last switched to.
	e.Slot = plans.Blue
	put(t, rt, e, rev)
	if u := h.see(t, rt, "a").Slots[plans.Blue]; u.Requests != 0 || u.Writes != 0 {
		t.Errorf("after a switch blue counts %+v, want none", u)
	}
}

func (h Router) dead(t *testing.T) {
	rt := h.New(t)
	e, p := h.entry(t, "a", "a.test/")
	rev := put(t, rt, e, 0)
	p.blue.Close()
	r := h.finish(t, h.Send(t, "GET", "a.test", "/"))
	if r.Status != 502 && r.Status != 503 && r.Status != 504 {
		t.Errorf("behind a dead backend: %+v, want a gateway's error", r)
	}
	h.wait(t, rt, "a", "an error counted", func(r observed.Route) bool { return r.Slots[plans.Blue].Errors == 1 })
	e.Slot = plans.Green
	put(t, rt, e, rev)
	h.want(t, "a.test", "/", 200, "a green")
}
