package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// platform is a plan of n tenants of one template and one policy.
func platform(n int, policy plans.BatchPolicy) *plans.Plan {
	policy.Name = "standard"
	p := &plans.Plan{Policies: map[string]plans.BatchPolicy{"standard": policy}}
	for i := range n {
		p.Tenants = append(p.Tenants, plans.Tenant{Name: fmt.Sprintf("t%05d", i), Template: "platform", Release: "r1", Policy: "standard",
			Core: plans.Core{Services: map[string]plans.Service{"app": {Image: "app@sha256:1"}}}, Bake: 60 * plans.Second})
	}
	return p
}

var careful = plans.BatchPolicy{BatchPct: 20, MaxConsecutiveFailures: 2, Canary: &plans.Canary{Count: 2, Bake: 600 * plans.Second}}

// TestPlay: without failures every run is completed after the times of the plan;
// a version that works nowhere stops at the canaries.
func TestPlay(t *testing.T) {
	r, err := Play(platform(50, careful), Options{Seeds: 20})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Waves[0]
	if w.Completed != 20 || w.Trip() != 0 || w.Broken.Max != 0 || w.Moved.P50 != 50 {
		t.Errorf("nothing fails: %+v", w)
	}
	// The canaries bake for 600 s, each stage for 60 s in its tenants, and one of
	// two moves after the other: no more than could trip the breaker at once.
	if w.Duration.P50 < 11*time.Minute || w.Duration.Max > 24*time.Hour {
		t.Errorf("durations %+v", w.Duration)
	}
	r, err = Play(platform(50, careful), Options{Seeds: 20, Fail: 1, Serving: -1})
	if err != nil {
		t.Fatal(err)
	}
	if w := r.Waves[0]; w.Tripped != 20 || w.Failed.Max != 2 || w.Broken.Max != 0 || w.Moved.Max != 0 {
		t.Errorf("all fail: %+v", w)
	}
	r, err = Play(platform(50, careful), Options{Seeds: 200, Fail: 0.02})
	if err != nil {
		t.Fatal(err)
	}
	if w := r.Waves[0]; w.Trip() == 0 || w.Trip() == 1 || w.Broken.Max == 0 {
		t.Errorf("some fail: %+v", w)
	}
	t.Logf("%+v", r)
}

// TestPlayWaits: where runs come to no end, the gate is named that they stand at.
func TestPlayWaits(t *testing.T) {
	for _, c := range []struct {
		policy plans.BatchPolicy
		gate   reconcile.GateFor
		why    string
	}{
		{plans.BatchPolicy{BatchSize: 5, MinHealthy: "5"}, reconcile.GateFloor, "5 of 5 tenants are healthy (minHealthy 5)"},
		{plans.BatchPolicy{BatchSize: 5, Freeze: []plans.Freeze{{From: "2020-01-01", To: "2099-12-31"}}}, reconcile.GateWindow, "frozen until the end of 2099-12-31"},
	} {
		r, err := Play(platform(5, c.policy), Options{Seeds: 10})
		if err != nil {
			t.Fatal(err)
		}
		w := r.Waves[0]
		if w.Other != 10 || len(w.Waits) != 1 || w.Waits[0].For != c.gate || w.Waits[0].Runs != 10 || !strings.HasPrefix(w.Waits[0].Why, c.why) {
			t.Errorf("%s: %+v", c.gate, w)
		}
	}
	r, err := Play(platform(5, plans.BatchPolicy{BatchSize: 5, MinHealthy: "4"}), Options{Seeds: 10})
	if err != nil || r.Waves[0].Completed != 10 || r.Waves[0].Waits != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestPlayIsRepeatable: the same options give the same result, however many
// runs go on at once.
func TestPlayIsRepeatable(t *testing.T) {
	said := func(workers int) string {
		r, err := Play(platform(30, careful), Options{Seeds: 50, Fail: 0.1, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		r.Took = 0
		return fmt.Sprintf("%+v", r)
	}
	if a, b := said(1), said(4); a != b {
		t.Errorf("one after the other\n%s\nat once\n%s", a, b)
	}
}

// TestPlayTenThousand: one run of ten thousand tenants is a matter of seconds.
func TestPlayTenThousand(t *testing.T) {
	p := careful
	p.MaxConsecutiveFailures = 8
	r, err := Play(platform(10_000, p), Options{Seeds: 1, Fail: 0.02})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %+v", r.Took, r.Waves)
	if r.Took > 10*time.Second {
		t.Errorf("it took %s", r.Took)
	}
}

// TestPlayRefuses: what cannot be played is named.
func TestPlayRefuses(t *testing.T) {
	for _, o := range []Options{{Fail: 2}, {Fail: -1}, {Serving: 2}, {Seeds: -1}} {
		if _, err := Play(platform(2, careful), o); err == nil {
			t.Errorf("%+v is played", o)
		}
	}
	if _, err := Play(&plans.Plan{}, Options{}); err == nil {
		t.Error("a plan without tenants is played")
	}
}

var _ Machine = (*reconcile.Rollouts)(nil)
