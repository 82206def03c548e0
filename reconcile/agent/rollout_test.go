package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// batched is n tenants of one image that follow a policy with a canary and
// batches of a fifth.
func batched(commit string, n int, img string) *plans.Plan {
	p := fleet(commit, n, img)
	p.Policies["standard"] = plans.BatchPolicy{Name: "standard", BatchPct: 20, MaxConsecutiveFailures: 2,
		Canary: &plans.Canary{Count: 1, Bake: 60 * plans.Second}}
	for i := range p.Tenants {
		p.Tenants[i].Release = "r1:" + img
	}
	return p
}

// rolled is what was told of rollouts, without starts and checks.
func (w *world) rolled() []string {
	w.t.Helper()
	logged, err := w.store.Events(journal.Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range logged {
		kind, ok := strings.CutPrefix(e.Kind, "rollout.")
		if !ok || kind == "tenant_started" || kind == "tenant_health_check" {
			continue
		}
		what := kind
		for _, f := range []string{"batch", "size", "answer", "outcome", "upgraded", "failed", "rolledBack", "skipped"} {
			if v := e.Fields[f]; v != "" && v != "0" {
				what += " " + f + "=" + v
			}
		}
		out = append(out, what)
	}
	return out
}

// answers commits the answer to the question of the rollout that is stopped.
func (w *world) answers(commit, answer string) {
	w.t.Helper()
	open := w.agent.Status().Rollouts
	if len(open) != 1 || open[0].Question() == nil {
		w.t.Fatalf("no rollout asks: %+v\n%s", open, w.text())
	}
	w.decide(commit, plans.Decision{Name: commit, Question: open[0].Question().ID, Answer: answer})
	w.pass()
}

// twoCanaries is the plan of batched with one canary more.
func twoCanaries(p *plans.Plan) *plans.Plan {
	rules := p.Policies["standard"]
	rules.Canary = &plans.Canary{Count: 2, Bake: 60 * plans.Second}
	p.Policies["standard"] = rules
	return p
}

// broken is a fleet of ten that was upgraded well once, then met a version that
// is broken: both canaries fail.
func broken(t *testing.T) *world {
	w := newWorld(t, batched("c1", 10, "app1"))
	w.pass()
	w.want(reconcile.Converged)
	w.host.SetImage(image("bad"), mem.Image{Sick: true, Log: "panic: no database"})
	w.plan = twoCanaries(batched("c2", 10, "bad"))
	w.agent.SetPlan(w.plan)
	w.pass()
	return w
}

func TestRolloutMovesInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, batched("c1", 10, "app1"))
		w.pass()
		w.want(reconcile.Converged)
		before := len(w.rolled())
		w.plan = batched("c2", 10, "app2")
		w.agent.SetPlan(w.plan)
		w.pass()
		w.want(reconcile.Converged)
		want := []string{"planned", "batch_started batch=canary size=1", "batch_completed batch=canary upgraded=1"}
		for i, n := range []int{2, 2, 2, 2, 1} {
			want = append(want, fmt.Sprintf("batch_started batch=%d size=%d", i+1, n), fmt.Sprintf("batch_completed batch=%d upgraded=%d", i+1, n))
		}
		want = append(want, "completed outcome=completed upgraded=10")
		if got := w.rolled()[before:]; !slices.Equal(got, want) {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if open := w.agent.Status().Rollouts; len(open) != 0 {
			t.Errorf("open: %+v", open)
		}
		// The next process has nothing to add.
		writes := fmt.Sprint(w.host.Writes())
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		if after := fmt.Sprint(w.host.Writes()); after != writes {
			t.Errorf("a new process writes: %s, then %s", writes, after)
		}
	})
}

func TestRolloutTripsAfterTwoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := broken(t)
		got := w.rolled()
		tail := []string{"batch_started batch=canary size=2", "tenant_failed batch=canary", "tenant_failed batch=canary"}
		if !contains(got, tail) || !strings.HasPrefix(got[len(got)-2], "circuit_breaker_tripped batch=canary failed=t00,t01") || got[len(got)-1] != "question" {
			t.Fatalf("told\n%s", strings.Join(got, "\n"))
		}
		logged, err := w.store.Events(journal.Query{})
		if err != nil {
			t.Fatal(err)
		}
		trip := slices.DeleteFunc(logged, func(e journal.Logged) bool { return e.Kind != reconcile.RolloutBreakerTripped })
		if len(trip) != 1 {
			t.Fatalf("it tripped %d times", len(trip))
		}
		var told []reconcile.Failure
		if err := json.Unmarshal([]byte(trip[0].Fields["failures"]), &told); err != nil || len(told) != 2 {
			t.Fatalf("failures %q: %v", trip[0].Fields["failures"], err)
		}
		failed := w.agent.Status().Failed
		for i, name := range []string{"t00", "t01"} {
			f := told[i]
			if f.Tenant != name || !strings.Contains(f.Why, "; its last answer: GET /health: 500") || !f.Restored && !f.Moves || !strings.Contains(f.Log, "panic: no database") {
				t.Errorf("told of %s: %+v", name, f)
			}
			if len(failed) != 2 || failed[i].Rollout != trip[0].Fields["rollout"] || failed[i].Failure.Tenant != name || failed[i].Log != f.Log || !failed[i].Restored {
				t.Errorf("status says of %s: %+v", name, failed)
			}
		}
		for _, s := range w.agent.Status().Tenants {
			if s.ActiveSlot != plans.Blue && s.ActiveSlot != plans.Green || !s.Services[0].Healthy {
				t.Errorf("%s does not serve: %+v", s.Name, s)
			}
			if s.Name > "t01" && s.State != reconcile.Waiting {
				t.Errorf("%s is %s: %s", s.Name, s.State, s.Why)
			}
		}
		if r := w.agent.Status().Rollouts; len(r) != 1 || r[0].Phase != reconcile.RolloutWaiting || r[0].Summary.Failed != 2 {
			t.Errorf("rollouts %+v", r)
		}
		// A new process asks the very same, and starts nothing.
		q, writes := w.agent.Status().Rollouts[0].Question().ID, fmt.Sprint(w.host.Writes())
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		if r := w.agent.Status().Rollouts; len(r) != 1 || r[0].Question().ID != q || fmt.Sprint(w.host.Writes()) != writes {
			t.Errorf("after a restart %+v", r)
		}
		w.answers("c3", reconcile.AbortRollout)
		got = w.rolled()
		if got[len(got)-1] != "completed outcome=aborted failed=2 skipped=8" {
			t.Errorf("told\n%s", strings.Join(got, "\n"))
		}
		for _, s := range w.agent.Status().Tenants {
			if s.State != reconcile.HeldBack || s.Name > "t01" && s.Reason != reconcile.Aborted {
				t.Errorf("%s is %s %s: %s", s.Name, s.State, s.Reason, s.Why)
			}
		}
		w.notices()
	})
}

// TestStaleAnswersMoveNothing: an answer to another question, to an earlier or a
// later trip, or with another word is a notice, and nothing moves.
func TestStaleAnswersMoveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := broken(t)
		r := w.agent.Status().Rollouts[0]
		q, writes := r.Question().ID, fmt.Sprint(w.host.Writes())
		w.decide("c3", plans.Decision{Name: "a", Question: "ro-000000.trip1-00000000", Answer: reconcile.AbortRollout},
			plans.Decision{Name: "b", Question: strings.Replace(q, ".trip1-", ".trip2-", 1), Answer: reconcile.ContinueAnyway},
			plans.Decision{Name: "c", Question: r.ID + ".batch1-00000000", Answer: reconcile.Proceed},
			plans.Decision{Name: "d", Question: q, Answer: reconcile.Proceed})
		w.pass()
		w.notices("decision a answers question ro-000000", "decision b answers question "+r.ID+".trip2-", "decision c answers question "+r.ID+".batch1-",
			"decision d answers question "+q+` with "proceed", which is not one of: abort, continue_anyway, retry, rollback_completed_batches`)
		if now := w.agent.Status().Rollouts; len(now) != 1 || now[0].Question().ID != q || fmt.Sprint(w.host.Writes()) != writes {
			t.Errorf("it moved: %+v", now)
		}
		w.applied()
		// The dry-run says what each answer would do.
		p, err := w.agent.DryRun(t.Context(), nil)
		if err != nil || len(p.Rollouts) != 1 || !p.Rollouts[0].Goes || p.Rollouts[0].Ends != reconcile.RolloutWaiting || p.Rollouts[0].Question == nil {
			t.Fatalf("dry-run %+v, %v", p.Rollouts, err)
		}
		var ends []string
		for _, a := range p.Rollouts[0].Answers {
			ends = append(ends, fmt.Sprintf("%s: %s, %s", a.Answer, a.Ends, a.Summary))
		}
		if want := []string{"abort: aborted, 2 failed, 8 skipped", "continue_anyway: completed, 8 upgraded, 2 failed",
			"retry: completed, 10 upgraded", "rollback_completed_batches: rolledBack, 2 failed, 8 skipped"}; !slices.Equal(ends, want) {
			t.Errorf("the answers come to %q, want %q", ends, want)
		}
		if a := p.Rollouts[0].Question.Answers; len(a) != 4 || a[reconcile.AbortRollout] != "leave the 0 that were moved, and withhold the target from the remaining 8" {
			t.Errorf("answers %v", a)
		}
	})
}

func contains(all, part []string) bool {
	for i := range all {
		if len(all)-i >= len(part) && slices.Equal(all[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func TestRolloutGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, batched("c1", 10, "app1"))
		w.pass()
		// The new version is good for the first three and fails on t03 and t04.
		w.plan = batched("c2", 10, "app2")
		for i := range w.plan.Tenants {
			if i == 3 || i == 4 {
				s := w.plan.Tenants[i].Core.Services["app"]
				s.Image = image("bad")
				w.plan.Tenants[i].Core.Services = map[string]plans.Service{"app": s}
			}
		}
		w.host.SetImage(image("bad"), mem.Image{Sick: true})
		w.agent.SetPlan(w.plan)
		w.pass()
		w.answers("c3", reconcile.RollbackMoved)
		got := w.rolled()
		if got[len(got)-1] != "rolled_back outcome=rolledBack failed=2 rolledBack=3 skipped=5" {
			t.Errorf("told\n%s\n%s", strings.Join(got, "\n"), w.text())
		}
		for _, s := range w.agent.Status().Tenants {
			if s.ActiveSlot != plans.Blue || s.State != reconcile.HeldBack || !s.Services[0].Healthy {
				t.Errorf("%s is %s %s in %s: %s", s.Name, s.State, s.Reason, s.ActiveSlot, s.Why)
			}
		}
	})
}

func TestRolloutGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, answer := range []string{reconcile.ContinueAnyway, reconcile.RetryFailed} {
			w := broken(t)
			w.host.SetImage(image("bad"), mem.Image{})
			w.answers("c3", answer)
			got := w.rolled()
			want := "completed outcome=completed upgraded=10"
			if answer == reconcile.ContinueAnyway {
				want = "completed outcome=completed upgraded=8 failed=2"
			}
			if got[len(got)-1] != want {
				t.Errorf("%s: told\n%s\n%s", answer, strings.Join(got, "\n"), w.text())
			}
		}
	})
}

// TestDryRunPrintsTheRollout: its id, its batches and their order are known
// before it exists, and who is passed over.
func TestDryRunPrintsTheRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, batched("c1", 10, "app1"))
		w.pass()
		w.plan = batched("c2", 10, "app2")
		w.plan.Tenants[4].Hold = &plans.HoldWord{Reason: "month end"}
		p, err := w.agent.DryRun(t.Context(), w.plan)
		if err != nil || len(p.Rollouts) != 1 {
			t.Fatalf("%v: rollouts %+v", err, p.Rollouts)
		}
		r := p.Rollouts[0]
		var batches []string
		for _, b := range r.Batches {
			batches = append(batches, b.Name+": "+strings.Join(b.Tenants, " "))
		}
		want := []string{"canary: t00", "batch 1: t01 t02", "batch 2: t03 t05", "batch 3: t06 t07", "batch 4: t08 t09"}
		if !slices.Equal(batches, want) || len(r.Passed) != 1 || r.Passed[0].Tenant != "t04" || r.Passed[0].Class != reconcile.ClassHeld {
			t.Errorf("batches %q, passed over %+v", batches, r.Passed)
		}
		if r.Breaker != "2 failures in a row, or any in the canary stage, stops it and asks" || r.Members != 10 || r.Question != nil || r.Goes {
			t.Errorf("rollout %+v", r)
		}
		began := w.agent.Status().Now
		before := len(w.told(reconcile.RolloutPlanned))
		w.agent.SetPlan(w.plan)
		w.pass()
		planned := w.told(reconcile.RolloutPlanned)[before:]
		if len(planned) != 1 || planned[0]["rollout"] != r.ID {
			t.Errorf("planned %v, the dry-run said %s", planned, r.ID)
		}
		took := w.agent.Status().Now.Sub(began)
		if r.Takes > took || took-r.Takes > took/5 {
			t.Errorf("it took %s, the dry-run said %s", took, r.Takes)
		}
		again, err := w.agent.DryRun(t.Context(), w.plan)
		if err != nil || len(again.Rollouts) != 0 {
			t.Errorf("%v: afterwards %+v", err, again.Rollouts)
		}
	})
}
