package agent

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// ignored wants exactly these decisions to have been told of as too late.
func (w *world) ignored(taken string, want ...plans.Decision) {
	w.t.Helper()
	var fields []map[string]string
	for _, d := range want {
		fields = append(fields, map[string]string{"question": d.Question, "answer": d.Answer, "decision": d.Name, "taken": taken})
	}
	if got := w.told(DecisionIgnored); !slices.EqualFunc(got, fields, maps.Equal) {
		w.t.Errorf("ignored %v, want %v", got, fields)
	}
}

// TestSecondAnswerOfRollout: the question of a rollout is answered once. Whoever
// says something else later is told, and nothing moves.
func TestSecondAnswerOfRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := broken(t)
		q := w.agent.Status().Rollouts[0].Question().ID
		first := plans.Decision{Name: "stop", Question: q, Answer: reconcile.AbortRollout}
		w.decide("c3", first)
		w.pass()
		w.applied(first)
		w.ignored("")
		w.notices()
		writes, told := fmt.Sprint(w.host.Writes()), len(w.rolled())

		late := plans.Decision{Name: "back", Question: q, Answer: reconcile.RollbackMoved}
		same := plans.Decision{Name: "again", Question: q, Answer: reconcile.AbortRollout}
		says := "decision back answers question " + q + " with rollback_completed_batches, which was answered with abort at"
		for _, decisions := range [][]plans.Decision{{first, same, late}, {late}, {late, first}} {
			w.decide("c4", decisions...)
			w.pass()
			w.notices(says)
			w.ignored("abort", late)
		}
		// Neither does the next process tell it again, or go by it.
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		w.notices(says)
		w.ignored("abort", late)
		w.applied(first)
		if after := fmt.Sprint(w.host.Writes()); after != writes || len(w.rolled()) != told {
			t.Errorf("something moves: %s, then %s\n%v", writes, after, w.rolled()[told:])
		}
		w.decide("c5", first)
		w.pass()
		w.notices()
	})
}

// TestTwoAnswersAtOnce: the last one counts, and whoever gave the other is told.
func TestTwoAnswersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := broken(t)
		q := w.agent.Status().Rollouts[0].Question().ID
		a := plans.Decision{Name: "a", Question: q, Answer: reconcile.RetryFailed}
		b := plans.Decision{Name: "b", Question: q, Answer: reconcile.AbortRollout}
		w.decide("c3", a, b)
		w.pass()
		w.applied(b)
		w.ignored("abort", a)
		w.notices("decision a answers question " + q + " with retry, which was answered with abort")
	})
}

// TestSecondAnswerStillAsked: what goes on being asked is answered anew.
func TestSecondAnswerStillAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		w.pass()
		w.plan = fleet("c2", 1, "app1") // t01 has no tombstone
		w.agent.SetPlan(w.plan)
		w.pass()
		q := w.asked()
		keep := plans.Decision{Name: "keep", Question: q.ID, Answer: "keep"}
		w.decide("c3", keep)
		w.pass()
		w.applied(keep)
		gone := plans.Decision{Name: "gone", Question: q.ID, Answer: "remove"}
		w.decide("c4", gone)
		w.pass()
		w.applied(keep, gone)
		w.ignored("")
		w.notices()
		for _, s := range w.agent.Status().Tenants {
			if s.Name == "t01" && len(s.Services) > 0 && s.Services[0].Running {
				t.Errorf("t01 runs on\n%s", w.text())
			}
		}
	})
}

// TestHeardOfOld: of an answer taken by an earlier version only the time is known.
// Nothing is said against it, and it is not told again.
func TestHeardOfOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := broken(t)
		q := w.agent.Status().Rollouts[0].Question().ID
		first := plans.Decision{Name: "stop", Question: q, Answer: reconcile.AbortRollout}
		w.decide("c3", first)
		w.pass()
		var tx journal.Tx
		if err := tx.Put(journal.Meta, metaHeard+q, w.agent.Status().Now); err != nil {
			t.Fatal(err)
		}
		w.store = w.store.Reopen()
		if err := w.store.Commit(tx); err != nil {
			t.Fatal(err)
		}
		w.decide("c4", plans.Decision{Name: "back", Question: q, Answer: reconcile.RollbackMoved})
		w.start()
		w.pass()
		w.applied(first)
		w.ignored("")
		w.notices()
	})
}
