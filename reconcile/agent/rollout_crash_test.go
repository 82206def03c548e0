package agent

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// drilled is a plan of five whose new version is broken for the third and fourth.
func drilled(commit, img string) *plans.Plan {
	p := batched(commit, 5, img)
	if img != "app1" {
		for i := range 2 {
			s := p.Tenants[2+i].Core.Services["app"]
			s.Image = image("bad")
			p.Tenants[2+i].Core.Services = map[string]plans.Service{"app": s}
		}
	}
	return p
}

// TestRolloutCrashAtEveryBoundary kills the agent before and after each of its
// transactions, once each, through a whole drill: upgrade, trip, and each answer.
// States and summaries are those of the run without kills.
func TestRolloutCrashAtEveryBoundary(t *testing.T) {
	for _, answer := range []string{reconcile.RollbackMoved, reconcile.AbortRollout, reconcile.ContinueAnyway, reconcile.RetryFailed} {
		t.Run(answer, func(t *testing.T) {
			run := func(boundary int, when journal.When) (end string, commits int) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, drilled("c1", "app1"))
					w.pass()
					w.host.SetImage(image("bad"), mem.Image{Sick: true})
					begin, crashed := w.store.Commits(), false
					if boundary > 0 {
						w.store.Crash(boundary, when)
					}
					pass := func() {
						t.Helper()
						if _, err := w.tryPass(); err != nil {
							if !errors.Is(err, journal.ErrClosed) {
								t.Fatal(err)
							}
							crashed = true
							w.store = w.store.Reopen()
							w.start()
							w.pass()
						}
					}
					w.plan = drilled("c2", "app2")
					w.agent.SetPlan(w.plan)
					pass()
					open := w.agent.Status().Rollouts
					if len(open) != 1 || open[0].Question() == nil {
						t.Fatalf("crash %d (%d): no rollout asks: %+v\n%s", boundary, when, open, w.text())
					}
					if answer == reconcile.RetryFailed { // what failed is repaired first
						w.host.SetImage(image("bad"), mem.Image{})
					}
					w.decide("c3", plans.Decision{Name: "d", Question: open[0].Question().ID, Answer: answer})
					pass()
					if !crashed {
						commits = w.store.Commits() - begin
					}
					told := w.rolled()
					end = w.summary() + told[len(told)-1]
				})
				return end, commits
			}
			want, commits := run(0, 0)
			if done := strings.Contains(want, "upgraded=5"); done != (answer == reconcile.RetryFailed) {
				t.Errorf("without a crash it ends as\n%s", want)
			}
			if commits < 20 {
				t.Fatalf("only %d transactions", commits)
			}
			for n := 1; n <= commits; n++ {
				for _, when := range []journal.When{journal.Before, journal.After} {
					if got, _ := run(n, when); got != want {
						t.Errorf("crash %d of %d (%d):\n%s\nwant\n%s", n, commits, when, got, want)
					}
				}
			}
			t.Logf("%d boundaries", 2*commits)
		})
	}
}
