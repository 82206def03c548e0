package reconcile_test

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestForeseen: the batches that are foreseen when a rollout begins are those
// that come, and who is said to be passed over is.
func TestForeseen(t *testing.T) {
	for seed := range int64(60) {
		rnd := rand.New(rand.NewSource(seed))
		w := newWave(t)
		p := plans.BatchPolicy{Name: "standard", BatchPct: rnd.Intn(60), Windows: []plans.Window{{From: "12:00", To: "18:00"}}}
		if rnd.Intn(2) == 0 {
			p.Canary = &plans.Canary{Select: map[string]string{"ring": "a"}, Count: rnd.Intn(3)}
		}
		if rnd.Intn(2) == 0 {
			p.Rings = []string{"b", "a"}
		}
		w.policies["standard"] = p
		for i := range 1 + rnd.Intn(20) {
			q := w.add(fmt.Sprintf("t%02d", i), map[string]string{"ring": []string{"a", "b", ""}[rnd.Intn(3)]}, "standard", "r1", true)
			q.held = i > 0 && rnd.Intn(4) == 0
		}
		w.plan()
		w.settle()
		w.wants("r2", "")
		w.plan()
		w.settle() // planned, and waits for its window
		open := w.runs.Open()
		if len(open) != 1 || open[0].Phase != reconcile.RolloutWaiting {
			t.Fatalf("seed %d: %+v", seed, open)
		}
		foreseen := w.runs.Foresee(open[0].ID)
		if p := w.runs.Policy(open[0].ID); len(p.Windows) != 1 || w.runs.Moves() {
			t.Errorf("seed %d: policy %+v, it moves: %v", seed, p, w.runs.Moves())
		}
		w.run(30 * 24 * time.Hour)
		r, ok := w.runs.Get(open[0].ID)
		if !ok || r.Phase != reconcile.RolloutCompleted {
			t.Fatalf("seed %d: it ends as %+v", seed, r)
		}
		for i, m := range w.runs.Members(r.ID) {
			f := foreseen[i]
			if f.Tenant != m.Tenant || f.In != m.Batch || f.Would == reconcile.ClassPending != (m.Class == reconcile.ClassUpgraded) {
				t.Errorf("seed %d: %s came in batch %d as %s, foreseen were batch %d and %q %s", seed, m.Tenant, m.Batch, m.Class, f.In, f.Would, f.Because)
			}
		}
	}
	if w := newWave(t); w.runs.Foresee("ro-0") != nil || w.runs.Members("ro-0") != nil || w.runs.CannotGoBack("ro-0") == "" {
		t.Error("an unknown rollout is known")
	}
}
