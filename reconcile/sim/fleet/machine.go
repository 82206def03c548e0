package fleet

import (
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// Machine is what decides who may move: reconcile.Rollouts, or one with a
// deliberate mistake. Its methods are those of reconcile.Rollouts.
type Machine interface {
	Restore(reconcile.Rollout, []reconcile.RolloutMember)
	Attempted(base string, times int)
	Plan(reconcile.RolloutPlan)
	Hear(*reconcile.Report)
	Answered()
	Skip(unseen time.Duration)
	Due(now time.Time) bool
	Next() time.Time
	Decide(now time.Time, answers map[string]string) reconcile.RolloutDelta
}

// Maker makes a machine without memory.
type Maker func() Machine

// Real makes the machine of the product.
func Real() Machine { return reconcile.NewRollouts("node") }
