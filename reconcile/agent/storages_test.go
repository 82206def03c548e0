package agent

import (
	"strings"
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

// TestAFullStorageHoldsTheUpgrade: below the floor nothing is started and nobody's
// release is to blame; with room again it goes on by itself.
func TestAFullStorageHoldsTheUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := func(img string) *plans.Plan {
			p := withData(img)
			p.Tenants = p.Tenants[:1]
			return p
		}
		w := newWorld(t, plan("app1"), func(c *Config) { c.KeepFree = 1 << 20 })
		w.pass()
		w.want(reconcile.Converged)
		serves := w.agent.Status().Tenants[0]
		w.host.SetFree(1 << 10)
		w.plan = plan("app2")
		w.agent.SetPlan(w.plan)
		w.pass()
		s := w.agent.Status().Tenants[0]
		if s.State != reconcile.Unknown || s.ActiveSlot != serves.ActiveSlot || s.Generation != serves.Generation || s.Problem == nil ||
			!strings.Contains(s.Problem.Text, "1.0 KiB free for volume data") || !strings.Contains(s.Problem.Text, "a floor of 1.0 MiB") {
			t.Errorf("with no room: %s, problem %+v", w.text(), s.Problem)
		}
		for _, a := range w.done {
			if a.Verb == reconcile.Stop {
				t.Errorf("%s though there was no room", a.ID)
			}
		}
		w.host.SetFree(1 << 30)
		time.Sleep(10 * time.Minute)
		w.pass()
		w.want(reconcile.Converged)
		if s := w.agent.Status().Tenants[0]; s.Generation == serves.Generation {
			t.Errorf("with room again it did not go on\n%s", w.text())
		}
	})
}

// TestDataIsDrawn: the lineage as a person sees it, and the cost of going back.
func TestDataIsDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withData("app1")
		p.Tenants = p.Tenants[:1]
		w := newWorld(t, p)
		w.pass()
		next := withData("app2")
		next.Tenants = next.Tenants[:1]
		w.plan = next
		w.agent.SetPlan(next)
		w.pass()
		w.want(reconcile.Converged)
		l, err := w.agent.Data(t.Context(), "t00")
		if err != nil || len(l.Data) != 1 || len(l.Data[0].Children) != 1 || len(l.Data[0].Children[0].Children) != 1 {
			t.Fatalf("%+v, %v", l, err)
		}
		old, snap := l.Data[0], l.Data[0].Children[0]
		now := snap.Children[0]
		if !strings.HasPrefix(old.Use, "kept for the way back") || !snap.Restorable || !strings.HasPrefix(now.Use, "serves") || now.Left != 0 {
			t.Errorf("drawn as %+v", l.Data)
		}
		for id := range uint64(3) {
			w.host.Write(now.ID, id+1)
		}
		costs, err := w.agent.RestoreCost(t.Context(), "t00", snap.ID)
		if err != nil || len(costs) != 1 || costs[0].Bytes != 3 || costs[0].Dataset != now.ID || costs[0].Volume != "data" {
			t.Errorf("going back costs %+v, %v", costs, err)
		}
		e, err := w.agent.Explain("t00")
		if err != nil || len(e.Record.Measured) != 0 {
			t.Errorf("nothing was answered, and going back costs %+v, %v", e.Record.Measured, err)
		}
		w.host.Send("POST", "t00.example.com", "/", 7)
		w.agent.Refresh()
		w.pass()
		if e, err = w.agent.Explain("t00"); err != nil || !strings.Contains(strings.Join(reconcile.Explain(e.Report, e.Record), "\n"),
			"Going back would ask first about what was written to data since 2000-01-01 00:00:") || e.Record.Measured[now.ID].Bytes < 3 {
			t.Errorf("explained as %q, measured %+v, %v", reconcile.Explain(e.Report, e.Record), e.Record.Measured, err)
		}
		if _, err := w.agent.RestoreCost(t.Context(), "t00", now.ID); err == nil || !strings.Contains(err.Error(), "no such snapshot") {
			t.Errorf("a dataset is no snapshot: %v", err)
		}
		if _, err := w.agent.Data(t.Context(), "nobody"); err == nil {
			t.Error("nobody has data")
		}
	})
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

// TestAQuotaChangesInPlace: the dry-run shows it, a pass does it, and nothing of the
// tenant begins anew.
func TestAQuotaChangesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := func(quota string) *plans.Plan {
			p := withData("app1")
			p.Tenants = p.Tenants[:1]
			p.Commit += quota
			v := p.Tenants[0].Volumes["data"]
			v.Quota = quota
			p.Tenants[0].Volumes["data"] = v
			return p
		}
		w := newWorld(t, plan("1G"))
		w.pass()
		before := w.host.Truth("t00")
		w.agent.SetPlan(plan("2G"))
		p, err := w.agent.DryRun(t.Context(), nil)
		if err != nil || len(p.Changes) != 1 || len(p.Changes[0].Actions) != 1 || p.Changes[0].Op != "update" {
			t.Fatalf("%+v, %v", p, err)
		}
		if a := p.Changes[0].Actions[0]; a.Op != "tune" || a.Target != "t00/blue/data" || a.Why != "the plan says quota=2G for volume data" {
			t.Errorf("planned %+v", a)
		}
		if now := w.host.Truth("t00"); now.Datasets[0].Tuning != "quota=1G" {
			t.Errorf("a dry-run changed it: %+v", now.Datasets)
		}
		w.pass()
		w.want(reconcile.Converged)
		now := w.host.Truth("t00")
		if len(now.Datasets) != 1 || now.Datasets[0].Tuning != "quota=2G" || now.Instances[0].Started != before.Instances[0].Started {
			t.Errorf("%+v", now)
		}
	})
}
