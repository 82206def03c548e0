package agent

import (
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// TestForgetsWhatIsGone: a tenant that neither the plan nor the host has anything
// of is not listed and not remembered, however it went.
func TestForgetsWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		says := func(commit string, change func(p *plans.Plan)) {
			p := fleet(commit, 1, "app1")
			change(p)
			w.plan = p
			w.agent.SetPlan(p)
			w.pass()
		}
		listed := func(when string, names ...string) {
			t.Helper()
			all := w.agent.Status().Tenants
			ok := len(all) == len(names)
			for i := range names {
				ok = ok && all[i].Name == names[i]
			}
			if !ok {
				t.Errorf("%s %q are listed, want %q", when, w.text(), names)
			}
			stored := 0
			_ = w.store.Each(journal.Tenants, func(string, []byte) error { stored++; return nil })
			if stored > len(names) {
				t.Errorf("%s %d are remembered, want %d", when, stored, len(names))
			}
		}
		second := func(change func(t *plans.Tenant)) func(p *plans.Plan) {
			return func(p *plans.Plan) {
				more := tenant("t01", "app1")
				change(&more)
				p.Tenants = append(p.Tenants, more)
			}
		}
		drop := func(*plans.Plan) {}

		w.pass()
		says("c2", second(func(t *plans.Tenant) { t.Hold = &plans.HoldWord{Reason: "later"} }))
		listed("held before it began,", "t00", "t01")
		says("c3", drop)
		listed("dropped before it began,", "t00")

		says("c4", second(func(*plans.Tenant) {}))
		says("c5", second(func(t *plans.Tenant) { t.Removed = true }))
		listed("removed,", "t00", "t01")
		says("c6", drop)
		listed("its tombstone taken out,", "t00")

		w.store = w.store.Reopen()
		w.start()
		w.pass()
		listed("after a restart,", "t00")
	})
}
