package agent

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// besides is batched with a sidecar and a tenant-scoped service beside the app.
func besides(commit string, n int, app, side, db string) *plans.Plan {
	p := batched(commit, n, app)
	for i := range p.Tenants {
		t := &p.Tenants[i]
		health := t.Core.Services["app"].Health
		t.Aside = map[string]plans.Service{
			"side": {Image: image(side), Sidecar: true, Health: health},
			"db":   {Image: image(db), Scope: "tenant", Health: health},
		}
		t.Release = strings.Join([]string{"r1:" + app, side, db}, "+")
	}
	return p
}

// runs is what runs of a tenant in truth, by slot and service; what is kept for the
// way back does not.
func (w *world) runs(tenant string) string {
	runs := map[string]string{}
	truth := w.host.Truth(tenant)
	for _, i := range truth.Instances {
		if i.Phase == "running" {
			for _, name := range []string{"app1", "app2", "side1", "side2", "db1", "db2", "bad"} {
				if strings.HasSuffix(image(name), i.Image) {
					runs[string(i.Slot)+"/"+i.Service] = name
				}
			}
		}
	}
	return fmt.Sprint(runs) + " " + string(truth.Route.Entry.Slot)
}

// TestRolloutOfSeveralServicesGoesBack: a release of the app, its sidecar and a
// tenant-scoped service trips, and all of it goes back everywhere: of those that
// failed by itself, of those it had moved by the answer, by another process, and
// without a registry.
func TestRolloutOfSeveralServicesGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, besides("c1", 6, "app1", "side1", "db1"))
		w.pass()
		w.want(reconcile.Converged)
		before := map[string]string{}
		for i := range w.plan.Tenants {
			before[w.plan.Tenants[i].Name] = w.runs(w.plan.Tenants[i].Name)
		}
		if got := before["t00"]; got != "map[blue/app:app1 blue/side:side1 tenant/db:db1] blue" {
			t.Fatalf("it runs %s", got)
		}
		w.plan = besides("c2", 6, "app2", "side2", "db2")
		for _, i := range []int{3, 4} {
			s := w.plan.Tenants[i].Core.Services["app"]
			s.Image = image("bad")
			w.plan.Tenants[i].Core.Services = map[string]plans.Service{"app": s}
		}
		w.host.SetImage(image("bad"), mem.Image{Sick: true})
		w.agent.SetPlan(w.plan)
		w.pass()
		if got := w.runs("t00"); got != "map[green/app:app2 green/side:side2 tenant/db:db2] green" {
			t.Errorf("t00 was moved and runs %s\n%s", got, w.text())
		}
		for _, name := range []string{"t03", "t04", "t05"} {
			if got := w.runs(name); got != before[name] {
				t.Errorf("%s failed, or was not begun, and runs %s, before %s", name, got, before[name])
			}
		}
		q := w.agent.Status().Rollouts[0].Question()
		if q == nil || !strings.Contains(q.Text, "t03 (") || strings.Contains(q.Text, "not back") ||
			!strings.HasPrefix(q.Answers[reconcile.RollbackMoved], "take the 3 that were moved back") {
			t.Fatalf("it asks %+v", q)
		}

		// Another process, and no registry that could help.
		for _, name := range []string{"app1", "side1", "db1"} {
			w.host.SetImage(image(name), mem.Image{Missing: true})
		}
		w.store = w.store.Reopen()
		w.start()
		w.answers("c3", reconcile.RollbackMoved)
		got := w.rolled()
		if got[len(got)-1] != "rolled_back outcome=rolledBack failed=2 rolledBack=3 skipped=1" {
			t.Errorf("told\n%s\n%s", strings.Join(got, "\n"), w.text())
		}
		after := map[string]string{}
		for name := range maps.Keys(before) {
			after[name] = w.runs(name)
		}
		if !maps.Equal(before, after) {
			t.Errorf("it runs %v, and ran %v", after, before)
		}
		for _, s := range w.agent.Status().Tenants {
			if s.State != reconcile.HeldBack {
				t.Errorf("%s is %s %s: %s", s.Name, s.State, s.Reason, s.Why)
			}
		}
		writes := fmt.Sprint(w.host.Writes())
		w.pass()
		if now := fmt.Sprint(w.host.Writes()); now != writes {
			t.Errorf("at rest it writes: %s, then %s", writes, now)
		}
	})
}

// TestRolloutOfSidecarsGoesBackByPolicy: a release that moves nothing but a sidecar
// is undone like any other, also where nobody is asked.
func TestRolloutOfSidecarsGoesBackByPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byPolicy := func(p *plans.Plan) *plans.Plan {
			rules := p.Policies["standard"]
			rules.OnTrip = plans.Rollback
			p.Policies["standard"] = rules
			return p
		}
		w := newWorld(t, byPolicy(besides("c1", 6, "app1", "side1", "db1")))
		w.pass()
		w.plan = byPolicy(besides("c2", 6, "app1", "side2", "db1"))
		for _, i := range []int{3, 4} {
			s := w.plan.Tenants[i].Aside["side"]
			s.Image = image("bad")
			w.plan.Tenants[i].Aside["side"] = s
		}
		w.host.SetImage(image("bad"), mem.Image{Sick: true})
		w.agent.SetPlan(w.plan)
		w.pass()
		got := w.rolled()
		if got[len(got)-1] != "rolled_back outcome=rolledBack failed=2 rolledBack=3 skipped=1" {
			t.Errorf("told\n%s\n%s", strings.Join(got, "\n"), w.text())
		}
		for i := range w.plan.Tenants {
			name := w.plan.Tenants[i].Name
			if got := w.runs(name); got != "map[blue/app:app1 blue/side:side1 tenant/db:db1] blue" {
				t.Errorf("%s runs %s", name, got)
			}
		}
	})
}
