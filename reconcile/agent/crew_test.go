package agent

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestWaitingTenantsAreNoGoroutines: a host that comes up with many tenants has
// a queue of them.
func TestWaitingTenantsAreNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := fleet("c1", 300, "app1")
		for i := range p.Tenants {
			p.Tenants[i].Template = ""
		}
		s, config := slowly(time.Second)
		w := newWorld(t, p, config)
		before, most := runtime.NumGoroutine(), 0
		done := make(chan Outcome)
		go func() { done <- w.pass() }()
		for range 200 {
			time.Sleep(500 * time.Millisecond)
			w.agent.mu.Lock()
			waiting := len(w.agent.crew.long.queue)
			w.agent.mu.Unlock()
			if waiting > 50 {
				most = max(most, runtime.NumGoroutine()-before)
			}
		}
		<-done
		w.want(reconcile.Converged)
		if most == 0 || most > 30 {
			t.Errorf("%d goroutines more while most tenants waited", most)
		}
		if *s.most != 2 {
			t.Errorf("%d pulls at a time, want 2", *s.most)
		}
	})
}

// watched returns a config that keeps what a pass says it waits for.
func watched() (said func() []string, config func(*Config)) {
	var mu sync.Mutex
	var list []string
	return func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(list)
		}, func(c *Config) {
			c.Progress = func(p Progress) {
				if p.Verb != Waits {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if p.Result != nil {
					list = append(list, p.Tenant+" over")
				} else {
					list = append(list, p.Tenant+" "+p.Target)
				}
			}
		}
}

func TestPassSaysWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said, config := watched()
		w := newWorld(t, fleet("c1", 1, "app1"), config)
		w.pass()
		all := strings.Join(said(), "\n")
		for _, want := range []string{"t00 waits for the new version to prove itself", "t00 watches the new version serve", "t00 over"} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is not said:\n%s", want, all)
			}
		}
	})
}

// TestPassDoesNotWaitForNothing: a tenant that is not well, and for which
// nothing is due, does not keep a pass.
func TestPassDoesNotWaitForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said, config := watched()
		w := newWorld(t, fleet("c1", 1, "app1"), config)
		w.pass()
		w.host.SetHealth(plans.Key{Tenant: "t00", Slot: plans.Blue, Service: "app"}, new(bool))
		c := w.daemon(t)
		time.Sleep(time.Minute)
		w.want(reconcile.Degraded)
		w.agent.Refresh()
		begin := time.Now()
		out, err := c.Pass(t.Context(), nil)
		if took := time.Since(begin); err != nil || took > 15*time.Second || len(out.Waiting) != 1 {
			t.Errorf("after %s: %+v, %v", took, out, err)
		}
		if all := strings.Join(said(), "\n"); !strings.Contains(all, "is not healthy") {
			t.Errorf("not said what for:\n%s", all)
		}
	})
}

// TestPassWaitsForARepair: what is being mended is waited for.
func TestPassWaitsForARepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		w.host.SetImage(image("app1"), mem.Image{HealthyAfter: 20 * time.Second})
		w.pass()
		w.host.RemoveByHand(plans.Key{Tenant: "t00", Slot: plans.Blue, Service: "app"})
		w.agent.Refresh()
		w.pass()
		w.want(reconcile.Converged)
	})
}

// TestPassWaitsForARepairOfAHeldBackTenant: that a tenant waits for a person
// keeps nobody from mending what serves.
func TestPassWaitsForARepairOfAHeldBackTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		w.host.SetImage(image("app1"), mem.Image{HealthyAfter: 8 * time.Second})
		w.pass()
		w.agent.SetPlan(fleet("c2", 0, "app1"))
		w.pass()
		w.want(reconcile.HeldBack)
		key := plans.Key{Tenant: "t00", Slot: plans.Blue, Service: "app"}
		w.host.RemoveByHand(key)
		w.agent.Refresh()
		if out := w.pass(); len(out.Blocked) != 1 || len(out.Waiting) != 0 {
			t.Errorf("outcome %+v", out)
		}
		w.want(reconcile.HeldBack)
		if m := w.agent.engine.members["t00"]; m.report.Unwell != "" || len(m.facts.Instances) != 1 {
			t.Errorf("not mended: %q, %v", m.report.Unwell, m.facts.Instances)
		}
	})
}

// TestPassWaitsForALateRepair: also where it could be begun only long after what
// serves went down.
func TestPassWaitsForALateRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		w.host.SetImage(image("app1"), mem.Image{HealthyAfter: 8 * time.Second})
		w.pass()
		w.agent.SetPlan(fleet("c2", 0, "app1"))
		w.pass()
		w.want(reconcile.HeldBack)
		key := plans.Key{Tenant: "t00", Slot: plans.Blue, Service: "app"}
		port := w.agent.engine.members["t00"].facts.Instances[0].Ports["http"]
		w.host.RemoveByHand(key)
		w.host.TakePort(port, "somebody")
		w.agent.Refresh()
		w.pass()
		unwell := func() string { return w.agent.engine.members["t00"].report.Unwell }
		if unwell() == "" {
			t.Fatal("it was repaired though its port was taken")
		}
		time.Sleep(time.Hour)
		w.host.TakePort(port, "")
		w.start()
		w.pass()
		if unwell() != "" {
			t.Errorf("not waited for: %s", unwell())
		}
	})
}
