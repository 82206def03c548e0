package agent

import (
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestPassWaitsForProbes: a new process that makes one pass knows of nobody that
// it is well before the probes have answered; with a floor it waits for them, and
// goes on.
func TestPassWaitsForProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		floored := func(commit, img string) *plans.Plan {
			p := batched(commit, 4, img)
			rules := p.Policies["standard"]
			rules.MinHealthy = "3"
			p.Policies["standard"] = rules
			return p
		}
		w := newWorld(t, floored("c1", "app1"))
		w.pass()
		w.want(reconcile.Converged)
		w.store = w.store.Reopen()
		w.plan = floored("c2", "app2")
		w.start()
		w.pass()
		w.want(reconcile.Converged)
		if open := w.agent.Status().Rollouts; len(open) != 0 {
			t.Errorf("open: %+v", open)
		}
	})
}
