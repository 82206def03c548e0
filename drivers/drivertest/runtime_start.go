package drivertest

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Runtime) start(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ok(t, rt.Start(bound(t), "1", want))
	seen := h.phase(t, rt, want.Key, observed.Running)
	h.answers(t, want.Ports["http"], "v1")
	_, digest, _ := strings.Cut(want.Spec.Image, "@")
	switch {
	case seen.ID == "":
		t.Error("no engine id")
	case seen.Digest != want.Digest, seen.Generation != want.Generation, seen.Attempt != want.Attempt:
		t.Errorf("seen as %s %s %s, want %s %s %s", seen.Digest, seen.Generation, seen.Attempt, want.Digest, want.Generation, want.Attempt)
	case !strings.HasSuffix(seen.Image, digest):
		t.Errorf("runs image %s, want %s", seen.Image, digest)
	case seen.Job, seen.Routed, seen.Restarts != 0:
		t.Errorf("seen as job %v, routed %v, %d restarts", seen.Job, seen.Routed, seen.Restarts)
	case seen.Started.IsZero():
		t.Error("no start time")
	case !maps.Equal(seen.Ports, want.Ports):
		t.Errorf("ports %v, want %v", seen.Ports, want.Ports)
	}
}

func (h Runtime) startTwice(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ok(t, rt.Start(bound(t), "1", want))
	first := h.phase(t, rt, want.Key, observed.Running)
	h.answers(t, want.Ports["http"], "v1")
	ok(t, rt.Start(bound(t), "1", want))
	want.Attempt, want.Commit = "a2", "beef"
	ok(t, rt.Start(bound(t), "2", want))
	again := h.phase(t, rt, want.Key, observed.Running)
	if again.ID != first.ID || !again.Started.Equal(first.Started) {
		t.Errorf("the same order again made %s started %s out of %s started %s", again.ID, again.Started, first.ID, first.Started)
	}
	want.Routed = true
	ok(t, rt.Start(bound(t), "3", want))
	if again = h.phase(t, rt, want.Key, observed.Running); !again.Routed || again.ID != first.ID {
		t.Errorf("after an order that differs in Routed alone: routed %v, id %s, want true, %s", again.Routed, again.ID, first.ID)
	}
}

func (h Runtime) startConflicts(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ok(t, rt.Start(bound(t), "1", want))
	before := h.phase(t, rt, want.Key, observed.Running)
	digest, generation := want, want
	digest.Digest = "s1:other"
	generation.Generation = "g1:other"
	for name, other := range map[string]plans.Instance{"digest": digest, "generation": generation} {
		if err := rt.Start(bound(t), "2", other); observed.ClassOf(err) != observed.Conflict {
			t.Errorf("start with another %s: %v, want a conflict", name, err)
		}
	}
	if now := h.see(t, rt, want.Key); now == nil || now.ID != before.ID || now.Phase != observed.Running {
		t.Errorf("a conflict moved the instance: %+v", now)
	}
}

func (h Runtime) startWithoutImage(t *testing.T) {
	rt := h.New(t)
	ref := h.image(t, Missing)
	want := plans.Instance{Key: key(plans.Blue, "app"), Digest: "s1:1", Spec: plans.Service{Image: ref}}
	if !rt.Traits().OwnNetwork {
		want.Spec.Network = "host"
	}
	wantClass(t, rt.Start(bound(t), "1", want), observed.Refused)
	if i := h.see(t, rt, want.Key); i != nil && i.Phase == observed.Running {
		t.Errorf("runs without an image: %+v", i)
	}
}

func (h Runtime) stopAndStart(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	want.Routed = true
	ok(t, rt.Start(bound(t), "1", want))
	h.answers(t, want.Ports["http"], "v1")
	for range 2 {
		ok(t, rt.Stop(bound(t), "2", want.Key, 5*time.Second))
		h.phase(t, rt, want.Key, observed.Exited)
	}
	if _, _, err := h.Get(t, want.Ports["http"], "/health"); err == nil {
		t.Error("the port still answers")
	}
	ok(t, rt.Start(bound(t), "3", want))
	h.phase(t, rt, want.Key, observed.Running)
	h.answers(t, want.Ports["http"], "v1")
}

func (h Runtime) remove(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ok(t, rt.Start(bound(t), "1", want))
	h.answers(t, want.Ports["http"], "v1")
	for range 2 {
		ok(t, rt.Remove(bound(t), "2", want.Key))
		if i := h.see(t, rt, want.Key); i != nil {
			t.Fatalf("still there: %+v", i)
		}
	}
	other := h.serve(t, rt, want.Key, "v2")
	ok(t, rt.Start(bound(t), "3", other))
	h.answers(t, other.Ports["http"], "v2")
}

func (h Runtime) absent(t *testing.T) {
	rt := h.New(t)
	k := key(plans.Green, "nobody")
	ok(t, rt.Stop(bound(t), "1", k, time.Second))
	ok(t, rt.Remove(bound(t), "2", k))
	wantClass(t, rt.SetRouted(bound(t), "3", k, true), observed.Conflict)
}

func (h Runtime) observeFilter(t *testing.T) {
	rt := h.New(t)
	a := h.serve(t, rt, plans.Key{Tenant: "suite-a", Slot: plans.Blue, Service: "app"}, "v1")
	b := h.serve(t, rt, plans.Key{Tenant: "suite-b", Slot: plans.Green, Service: "app"}, "v1")
	shared := h.serve(t, rt, plans.Key{Tenant: "suite-b", Slot: plans.Shared, Service: "db"}, "v1")
	for _, want := range []plans.Instance{shared, b, a} {
		ok(t, rt.Start(bound(t), "1", want))
	}
	for _, c := range []struct {
		tenants []string
		want    string
	}{
		{nil, "suite-a/blue/app suite-b/green/app suite-b/tenant/db"},
		{[]string{"suite-a"}, "suite-a/blue/app"},
		{[]string{"suite-b", "suite-a"}, "suite-a/blue/app suite-b/green/app suite-b/tenant/db"},
		{[]string{"suite"}, ""},
	} {
		seen, _, err := rt.Observe(bound(t), c.tenants...)
		ok(t, err)
		var keys []string
		for _, i := range seen {
			keys = append(keys, i.Key.String())
		}
		if got := strings.Join(keys, " "); got != c.want {
			t.Errorf("of %q: %q, want %q (sorted by key)", c.tenants, got, c.want)
		}
	}
}
