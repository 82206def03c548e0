package agent

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// asked returns the one question that is open.
func (w *world) asked() *reconcile.Question {
	w.t.Helper()
	open := map[string]*reconcile.Question{}
	for _, s := range w.agent.Status().Tenants {
		if s.Question != nil {
			open[s.Question.ID] = s.Question
		}
	}
	if len(open) != 1 {
		w.t.Fatalf("%d questions are open\n%s", len(open), w.text())
	}
	for _, q := range open {
		if !slices.ContainsFunc(w.told(reconcile.TenantQuestion), func(f map[string]string) bool { return f["question"] == q.ID }) {
			w.t.Errorf("no event asks %s", q.ID)
		}
		return q
	}
	return nil
}

// told returns the fields of the events of a kind.
func (w *world) told(kind string) (fields []map[string]string) {
	w.t.Helper()
	events, err := w.agent.Events(journal.Query{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == kind {
			fields = append(fields, e.Fields)
		}
	}
	return fields
}

// decide commits the plan again, with decisions.
func (w *world) decide(commit string, decisions ...plans.Decision) {
	p := *w.plan
	p.Commit, p.Decisions = commit, decisions
	w.plan = &p
	w.agent.SetPlan(&p)
}

// applied wants exactly these answers to have been told of, once each.
func (w *world) applied(want ...plans.Decision) {
	w.t.Helper()
	var fields []map[string]string
	for _, d := range want {
		fields = append(fields, map[string]string{"question": d.Question, "answer": d.Answer, "decision": d.Name})
	}
	if got := w.told(DecisionApplied); !slices.EqualFunc(got, fields, maps.Equal) {
		w.t.Errorf("applied %v, want %v", got, fields)
	}
}

// notices wants one line for each of the texts.
func (w *world) notices(texts ...string) {
	w.t.Helper()
	got := w.agent.Status().Notices
	if !slices.EqualFunc(got, texts, strings.Contains) {
		w.t.Errorf("notices %q, want %q", got, texts)
	}
}

func TestDecisionRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		w.pass()
		w.host.SetImage(image("app2"), mem.Image{Sick: true})
		w.plan = fleet("c2", 1, "app2")
		w.agent.SetPlan(w.plan)
		w.pass()
		q := w.asked()
		w.host.SetImage(image("app2"), mem.Image{})

		// An answer that is not allowed, and one to a question nobody asks.
		wrong := plans.Decision{Name: "a", Question: q.ID, Answer: "maybe"}
		stale := plans.Decision{Name: "b", Question: "t00.retry-00000000", Answer: "retry"}
		w.decide("c3", wrong, stale)
		w.pass()
		w.want(reconcile.HeldBack)
		w.applied()
		w.notices(`decision a answers question `+q.ID+` with "maybe", which is not one of: retry`, "decision b answers question t00.retry-00000000, which is not asked")

		yes := plans.Decision{Name: "c", Question: q.ID, Answer: "retry", Reason: "the database is back"}
		w.decide("c4", yes)
		w.pass()
		w.want(reconcile.Converged)
		if s := w.agent.Status().Tenants[0]; s.ActiveSlot != plans.Green {
			t.Errorf("not upgraded\n%s", w.text())
		}
		w.applied(yes)
		w.notices()
		before := w.host.Writes()

		// Over a restart it is neither told again nor a stale one; without its
		// file nothing changes.
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		w.notices()
		w.decide("c5")
		w.pass()
		w.applied(yes)
		if after := w.host.Writes(); !maps.Equal(before, after) {
			t.Errorf("writes %v, then %v", before, after)
		}
		w.decide("c6", yes)
		w.pass()
		w.notices("which is not asked on this node, or not any more")
	})
}

func TestDecisionAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		w.pass()
		w.store = journal.NewMemory() // the journal is lost
		w.plan = fleet("c2", 2, "app2")
		w.start()
		w.pass()
		q := w.asked()
		if w.told(reconcile.TenantSwitched) != nil {
			t.Error("something new was started")
		}
		yes := plans.Decision{Name: "ours", Question: q.ID, Answer: Adopt}
		w.decide("c3", yes)
		w.pass()
		w.want(reconcile.Converged)
		for _, s := range w.agent.Status().Tenants {
			if s.ActiveSlot != plans.Green {
				t.Errorf("%s was not upgraded\n%s", s.Name, w.text())
			}
		}
		w.applied(yes)
		w.notices()
	})
}

// TestLocalAdopt: the same answer given on the host, and kept over a restart.
func TestLocalAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		w.pass()
		w.store = journal.NewMemory()
		w.plan = fleet("c2", 2, "app2")
		w.start()
		w.pass()
		q := w.asked()
		if err := w.agent.Answer(LocalDecision{Question: q.ID, Answer: Adopt, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		w.want(reconcile.Converged)
		if s := w.agent.Status(); s.Tenants[0].ActiveSlot != plans.Green || len(s.Local) != 1 || !s.Local[0].Heard || len(s.Local[0].Tenants) != 2 {
			t.Errorf("%+v\n%s", s.Local, w.text())
		}
	})
}

func TestDecisionPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		removed := func(commit string, n int) *plans.Plan {
			p := fleet(commit, 5, "app1")
			p.PruneBudget = 2
			for i := range p.Tenants[:n] {
				p.Tenants[i].Removed = true
			}
			return p
		}
		w := newWorld(t, removed("c1", 0))
		w.pass()
		wantRunning := func(want string) {
			t.Helper()
			var names []string
			for _, s := range w.agent.Status().Tenants {
				if len(s.Services) > 0 && s.Services[0].Running {
					names = append(names, s.Name)
				}
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%q run, want %q\n%s", got, want, w.text())
			}
		}
		w.plan = removed("c2", 3)
		w.agent.SetPlan(w.plan)
		if p, err := w.agent.DryRun(t.Context(), nil); err != nil || len(p.Changes) != 0 || len(p.Blocked) != 3 {
			t.Errorf("dry-run %+v, %v", p, err)
		}
		w.pass()
		wantRunning("t00 t01 t02 t03 t04")
		q := w.asked()

		// Fewer tombstones need no answer.
		w.plan = removed("c3", 1)
		w.agent.SetPlan(w.plan)
		w.pass()
		wantRunning("t01 t02 t03 t04")

		w.plan = removed("c4", 4)
		w.agent.SetPlan(w.plan)
		w.pass()
		wantRunning("t01 t02 t03 t04")
		other := w.asked()
		if other.ID == q.ID {
			t.Error("another set of tenants is the same question")
		}
		yes := plans.Decision{Name: "go", Question: other.ID, Answer: "remove"}
		w.decide("c5", plans.Decision{Name: "old", Question: q.ID, Answer: "remove"}, yes)
		w.pass()
		wantRunning("t04")
		w.applied(yes)
		w.notices("decision old answers question " + q.ID + ", which is not asked")
	})
}
