package agent

import (
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// An id of a rollout that is forgotten by now is not given again, nor after a
// restart: the log still tells of the first one.
func TestAttemptsOutliveTheirRollouts(t *testing.T) {
	store := journal.NewMemory()
	base := reconcile.RolloutBase("standard", "platform", "r1", "r2", "n1")
	var tx journal.Tx
	if err := remember(reconcile.RolloutDelta{Attempts: map[string]int{base: 4}}, &tx); err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(tx); err != nil {
		t.Fatal(err)
	}
	r := rollout{runs: reconcile.NewRollouts("n1")}
	if err := r.load(store, time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	want := &plans.Tenant{Name: "acme", Template: "platform", Release: "r2", Policy: "standard"}
	target := plans.Target{Core: "g1:two"}
	r.runs.Plan(reconcile.RolloutPlan{Policies: map[string]plans.BatchPolicy{"standard": {}}, Tenants: []reconcile.RolloutTenant{{Want: want, Target: target}}})
	r.runs.Hear(&reconcile.Report{Tenant: "acme", State: reconcile.Waiting, Target: target, Release: "r1", Generation: "g1:one"})
	d := r.runs.Decide(time.Unix(1, 0), nil)
	if len(d.Rollouts) != 1 || d.Rollouts[0].ID != base+"-5" || d.Attempts[base] != 5 {
		t.Fatalf("the fifth attempt at %s is %+v, counted as %v", base, d.Rollouts, d.Attempts)
	}
}
