package agent

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// TestWordOutlivesCrash: who was told that a tenant goes back can rely on it,
// whenever the agent dies after that; and the word is heard once.
func TestWordOutlivesCrash(t *testing.T) {
	again := func(w *world) {
		w.store = w.store.Reopen()
		w.start()
	}
	for _, at := range []struct {
		name string
		dies func(t *testing.T, w *world)
	}{
		{"before the turn", func(t *testing.T, w *world) { again(w) }},
		{"before the write of the turn that hears it", func(t *testing.T, w *world) {
			w.store.Crash(1, journal.Before)
			if _, err := w.tryPass(); !errors.Is(err, journal.ErrClosed) {
				t.Fatalf("lived on: %v", err)
			}
			again(w)
		}},
		{"after it", func(t *testing.T, w *world) {
			w.store.Crash(1, journal.After)
			if _, err := w.tryPass(); !errors.Is(err, journal.ErrClosed) {
				t.Fatalf("lived on: %v", err)
			}
			again(w)
		}},
	} {
		t.Run(at.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fleet("c1", 1, "app1"))
				w.pass()
				w.plan = fleet("c2", 1, "app2")
				w.agent.SetPlan(w.plan)
				w.pass()
				if err := w.agent.Rollback("t00"); err != nil {
					t.Fatal(err)
				}
				at.dies(t, w)
				w.pass()
				s := w.agent.Status().Tenants[0]
				if s.ActiveSlot != plans.Blue || s.State != reconcile.HeldBack || s.Reason != reconcile.RolledBack {
					t.Fatalf("the word is lost: %s", w.text())
				}
				if told := w.told(DecisionLocal); len(told) != 1 || told[0]["answer"] != string(reconcile.GoBack) {
					t.Errorf("told %v", told)
				}

				// Not again: the next version stays, over another restart too.
				w.plan = fleet("c3", 1, "app3")
				w.agent.SetPlan(w.plan)
				w.pass()
				writes := fmt.Sprint(w.host.Writes())
				again(w)
				w.pass()
				w.want(reconcile.Converged)
				if now := fmt.Sprint(w.host.Writes()); now != writes {
					t.Errorf("the word was heard again: %s, then %s\n%s", writes, now, w.text())
				}
			})
		})
	}
}

// TestWordNotWrittenIsRefused: a word that cannot be written down is no word.
func TestWordNotWrittenIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		w.pass()
		w.host.SetImage(image("app2"), mem.Image{Sick: true})
		w.plan = fleet("c2", 1, "app2")
		w.agent.SetPlan(w.plan)
		w.pass()
		w.want(reconcile.HeldBack)
		w.host.SetImage(image("app2"), mem.Image{})
		w.store.Crash(1, journal.Before)
		if err := w.agent.Retry("t00"); !errors.Is(err, journal.ErrClosed) {
			t.Fatalf("taken though it is lost: %v", err)
		}
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		w.want(reconcile.HeldBack)
		if err := w.agent.Retry("t00"); err != nil {
			t.Fatal(err)
		}
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		w.want(reconcile.Converged)
	})
}
