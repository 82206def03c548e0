package agent

import (
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/reconcile"
)

func TestPassBringsAFleetUpAndUpgradesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 3, "app1"))
		w.pass()
		w.want(reconcile.Converged)
		w.agent.SetPlan(fleet("c2", 3, "app2"))
		w.pass()
		w.want(reconcile.Converged)
	})
}
