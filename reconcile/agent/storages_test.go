package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/fault"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// withData is a fleet of three: data in the default storage, in the other one,
// and none.
func withData(img string) *plans.Plan {
	p := fleet("c"+img, 3, img)
	for i := range p.Tenants {
		t := &p.Tenants[i]
		t.Template, t.Policy = "", ""
		if i == 2 {
			continue
		}
		v := plans.Volume{OnUpgrade: plans.Clone, Writes: plans.Quiesce}
		if i == 1 {
			v.Driver = "other"
		}
		t.Volumes = map[string]plans.Volume{"data": v}
		s := t.Core.Services["app"]
		s.Mounts = map[string]plans.Mount{"/data": {Volume: "data"}}
		t.Core.Services["app"] = s
	}
	return p
}

// TestADownStorageBlindsItsOwn: with one of two storages down, also over a
// restart, only the tenant with data in it waits, and says why.
func TestADownStorageBlindsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := mem.New(mem.Config{Now: time.Now})
		down := false
		f := fault.Faults{Decide: func(fault.Op, string) fault.Fault {
			if down {
				return fault.Blind
			}
			return fault.None
		}}
		w := newWorld(t, withData("app1"), func(c *Config) {
			c.Storages["other"], c.DefaultStorage = fault.Storage(other.Storage(), f), "mem"
		})
		w.pass()
		w.want(reconcile.Converged)
		for _, img := range []string{"app2", "app3"} {
			down = true
			w.plan = withData(img)
			if img == "app3" {
				w.store = w.store.Reopen()
				w.start()
			} else {
				w.agent.SetPlan(w.plan)
			}
			preview, err := w.agent.DryRun(t.Context(), nil)
			if err != nil || len(preview.Changes) != 2 || len(preview.Unseen) != 1 {
				t.Errorf("%s: dry-run: %+v, %v", img, preview, err)
			}
			w.pass()
			for i, want := range []reconcile.State{reconcile.Converged, reconcile.Unknown, reconcile.Converged} {
				s := w.agent.Status().Tenants[i]
				if s.State != want || want == reconcile.Converged && s.Generation != w.plan.Tenants[i].Target().Core {
					t.Errorf("%s: %s is %s, want %s\n%s", img, s.Name, s.State, want, w.text())
				}
			}
			down = false
			w.agent.Refresh()
			w.pass()
			w.want(reconcile.Converged)
		}
	})
}
