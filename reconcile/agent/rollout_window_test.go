package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// windowed is batched by a policy that starts tenants from 06:00 to 07:00 only,
// and asks before each batch.
func windowed(commit string, n int, img string) *plans.Plan {
	p := batched(commit, n, img)
	rules := p.Policies["standard"]
	rules.Windows, rules.Approval = []plans.Window{{From: "06:00", To: "07:00"}}, plans.PerBatch
	p.Policies["standard"] = rules
	return p
}

// TestRolloutWaitsForItsWindow: a pass does not wait for it, the daemon begins
// when it opens, and a person is asked before the batch.
func TestRolloutWaitsForItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, batched("c1", 2, "app1"))
		w.pass()
		w.plan = windowed("c2", 2, "app2")
		w.agent.SetPlan(w.plan)
		p, err := w.agent.DryRun(t.Context(), nil)
		if err != nil || len(p.Rollouts) != 1 {
			t.Fatalf("dry-run %+v, %v", p.Rollouts, err)
		}
		if r := p.Rollouts[0]; r.Ends != reconcile.RolloutCompleted || r.Takes < 5*time.Hour || r.Takes > 7*time.Hour ||
			r.Windows != "daily 06:00–07:00, UTC" || r.Approval == "" {
			t.Errorf("dry-run %+v", r)
		}
		out := w.pass()
		if len(out.Rollouts) != 1 || out.Rollouts[0].Gate.For != reconcile.GateWindow || out.Rollouts[0].Phase != reconcile.RolloutWaiting {
			t.Fatalf("the pass ends with %+v", out.Rollouts)
		}
		opens := out.Rollouts[0].Gate.Until
		if opens.Format("15:04") != "06:00" || out.Took > time.Hour {
			t.Errorf("it took %s, and opens at %s", out.Took, opens)
		}
		if s := w.agent.Status().Tenants[0]; s.State != reconcile.Waiting || !strings.Contains(s.Why, "no window is open, until Sat 2000-01-01 06:00") {
			t.Errorf("%s is %s: %s", s.Name, s.State, s.Why)
		}
		c, ctx := w.daemon(t), t.Context()
		asked := w.event(ctx, c, reconcile.RolloutQuestion)
		if started := w.told(reconcile.RolloutTenantStarted); len(started) == 0 || asked.Time.Before(opens) {
			t.Errorf("asked at %s, opens at %s", asked.Time, opens)
		}
		if err := c.Answer(ctx, LocalDecision{Question: asked.Fields["question"], Answer: reconcile.Proceed}); err != nil {
			t.Fatal(err)
		}
		if done := w.event(ctx, c, reconcile.RolloutEnded); done.Time.Sub(opens) > time.Hour {
			t.Errorf("done at %s, opened at %s", done.Time, opens)
		}
		if v, err := c.Rollout(ctx, out.Rollouts[0].ID); err != nil || v.Summary.Upgraded != 2 || v.Batches[0].Members[0].Took == 0 {
			t.Errorf("%+v, %v", v.Rollout, err)
		}
	})
}

// event waits for the next event of a kind.
func (w *world) event(ctx context.Context, c *Client, kind string) (found reconcile.Event) {
	w.t.Helper()
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var from uint64
	if old, err := w.agent.Events(journal.Query{Last: 1}); err == nil && len(old) > 0 {
		from = old[0].Seq
	}
	err := c.Events(ctx, journal.Query{After: from}, true, func(e journal.Logged) {
		if e.Kind == kind && found.Kind == "" {
			found = e.Event
			enough()
		}
	})
	if err != nil {
		w.t.Fatalf("wait for %s: %v", kind, err)
	}
	return found
}

// TestDryRunWithoutPolicy lists who moves in which order, and who is held.
func TestDryRunWithoutPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 3, "app1"))
		for i := range w.plan.Tenants {
			w.plan.Tenants[i].Template, w.plan.Tenants[i].Release, w.plan.Tenants[i].Policy = "platform", "r1", ""
		}
		w.plan.Tenants[1].Hold = &plans.HoldWord{Reason: "month end"}
		w.agent.SetPlan(w.plan)
		p, err := w.agent.DryRun(t.Context(), w.plan)
		if err != nil || len(p.Unbatched) != 1 || len(p.Held) != 1 || p.Held[0].Tenant != "t01" {
			t.Fatalf("%+v %+v, %v", p.Unbatched, p.Held, err)
		}
		c := p.Unbatched[0]
		if strings.Join(c.Tenants, " ") != "t00 t02" || len(c.Passed) != 1 || c.Passed[0].Class != reconcile.ClassHeld || c.Passed[0].Why != "month end" {
			t.Errorf("%+v", c)
		}
	})
}
