package main

import (
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// TestQuestionsInOrder: what rollouts ask comes before what tenants ask, however
// old, and the same question of several tenants once.
func TestQuestionsInOrder(t *testing.T) {
	asked := func(id string, after time.Duration) *reconcile.Question {
		return &reconcile.Question{ID: id, Since: noon.Add(after)}
	}
	var st agent.Status
	for _, r := range []struct {
		id    string
		after time.Duration
	}{{"ro-2", 3}, {"ro-1", 1}} {
		st.Rollouts = append(st.Rollouts, reconcile.Rollout{ID: r.id, Trip: &reconcile.Trip{Question: asked(r.id+".trip1", r.after)}})
	}
	st.Tenants = []agent.TenantStatus{{Name: "a", Question: asked("adopt", 2)}, {Name: "b", Question: asked("b.retry", 0)}, {Name: "c", Question: asked("adopt", 2)}}
	got := ""
	for _, q := range questionsOf(st) {
		got += q.ID + " "
		if q.ID == "adopt" && len(q.Tenants) != 2 {
			t.Errorf("adopt is asked of %v", q.Tenants)
		}
	}
	if want := "ro-1.trip1 ro-2.trip1 b.retry adopt "; got != want {
		t.Errorf("asked are %s, not %s", got, want)
	}
}
