package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// ruled is n tenants batched by a policy of a canary and batches of two, changed
// by edit.
func ruled(commit string, n int, img string, edit func(*plans.BatchPolicy)) *plans.Plan {
	p := batched(commit, n, img)
	rules := p.Policies["standard"]
	rules.Canary, rules.BatchPct, rules.BatchSize = &plans.Canary{Count: 1, Bake: 30 * plans.Second}, 0, 2
	edit(&rules)
	p.Policies["standard"] = rules
	return p
}

// previewed is the only rollout of a dry-run, with its batches as text.
func (w *world) previewed() (p Preview, r PlannedRollout, batches []string) {
	w.t.Helper()
	writes := fmt.Sprint(w.host.Writes())
	p, err := w.agent.DryRun(w.t.Context(), nil)
	if err != nil || len(p.Rollouts) != 1 {
		w.t.Fatalf("dry-run %+v, %v", p.Rollouts, err)
	}
	if now := fmt.Sprint(w.host.Writes()); now != writes {
		w.t.Errorf("the dry-run wrote: %s, then %s", writes, now)
	}
	r = p.Rollouts[0]
	for _, b := range r.Batches {
		text := b.Name + ": " + strings.Join(b.Tenants, " ")
		if b.Later {
			text += " later"
		}
		batches = append(batches, text)
	}
	return p, r, batches
}

var (
	inBatches = []string{"canary: t00", "batch 1: t01 t02", "batch 2: t03 t04"}
	allLater  = []string{"canary: t00 later", "batch 1: t01 t02 later", "batch 2: t03 t04 later"}
)

// TestDryRunWithAFloor: the tenants of the copy are probed until it is known that
// they are well, beside an agent that knows it and by one that has just begun. A
// floor that cannot be met leaves all of them for later, by batches.
func TestDryRunWithAFloor(t *testing.T) {
	for _, c := range []struct {
		floor   plans.Floor
		batches []string
	}{{"80%", inBatches}, {"4", inBatches}, {"5", allLater}, {"9", allLater}} {
		t.Run(string(c.floor), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := func(commit, img string) *plans.Plan {
					return ruled(commit, 5, img, func(p *plans.BatchPolicy) { p.MinHealthy = c.floor })
				}
				w := newWorld(t, plan("c1", "app1"))
				w.pass()
				w.plan = plan("c2", "app2")
				look := func(who string) {
					t.Helper()
					p, r, batches := w.previewed()
					if !slices.Equal(batches, c.batches) || len(r.Passed) != 0 || r.Members != 5 || r.Moves != 5 {
						t.Errorf("%s: batches %q, passed over %+v, %d of %d", who, batches, r.Passed, r.Moves, r.Members)
					}
					if r.Later() {
						if r.Ends != reconcile.RolloutWaiting || !strings.Contains(r.Waits, "5 of 5 tenants are healthy (minHealthy "+string(c.floor)+")") ||
							p.Summary["later"] != 5 || p.Summary["unchanged"] != 0 || len(p.Changes) != 0 {
							t.Errorf("%s: %+v, %v", who, r, p.Summary)
						}
						return
					}
					if r.Ends != reconcile.RolloutCompleted || r.Takes < time.Minute || p.Summary["later"] != 0 || len(p.Changes) != 5 {
						t.Errorf("%s: %+v, %v", who, r, p.Summary)
					}
				}
				w.agent.SetPlan(w.plan)
				look("one that knows them")
				w.store = w.store.Reopen()
				w.start()
				look("one that has just begun")
				w.pass()
				open := w.agent.Status().Rollouts
				if later := len(open) == 1 && open[0].Gate.For == reconcile.GateFloor; later != (c.batches[0] == allLater[0]) {
					t.Errorf("the pass comes to %+v", open)
				}
			})
		})
	}
}

// TestDryRunOverClosedWindows: what begins after a long freeze, or needs windows
// over many weeks, is played to its end; what is not opened for years is told by
// the batches it would have.
func TestDryRunOverClosedWindows(t *testing.T) {
	for _, c := range []struct {
		name    string
		edit    func(*plans.BatchPolicy)
		batches []string
		takes   time.Duration // about
		waits   string
	}{
		{"a freeze of 42 days", func(p *plans.BatchPolicy) {
			p.Freeze = []plans.Freeze{{From: "2000-01-01", To: "2000-02-11", Reason: "year end"}}
		}, inBatches, 42 * 24 * time.Hour, ""},
		// One minute a week, and a pause between two starts that is longer.
		{"five weeks", func(p *plans.BatchPolicy) {
			p.Windows, p.Stagger = []plans.Window{{Days: []string{"mon"}, From: "02:00", To: "02:01"}}, 120*plans.Second
		}, inBatches, 4 * 7 * 24 * time.Hour, ""},
		{"a freeze of a century", func(p *plans.BatchPolicy) {
			p.Freeze = []plans.Freeze{{From: "2000-01-01", To: "2099-12-31", Reason: "it is retired"}}
		}, allLater, 0, "frozen until the end of 2099-12-31: it is retired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, ruled("c1", 5, "app1", func(*plans.BatchPolicy) {}))
				w.pass()
				w.plan = ruled("c2", 5, "app2", c.edit)
				w.agent.SetPlan(w.plan)
				p, r, batches := w.previewed()
				if !slices.Equal(batches, c.batches) || len(r.Passed) != 0 || r.Takes < c.takes || r.Takes > c.takes+10*24*time.Hour {
					t.Errorf("batches %q, passed over %+v, takes %s", batches, r.Passed, r.Takes)
				}
				if ended := r.Ends == reconcile.RolloutCompleted; ended == r.Later() || !strings.HasPrefix(r.Waits, c.waits) || (r.Waits == "") != (c.waits == "") {
					t.Errorf("it ends %s, waits %q", r.Ends, r.Waits)
				}
				if n := p.Summary["later"] + len(p.Changes); n != 5 || p.Summary["unchanged"] != 0 {
					t.Errorf("%v", p.Summary)
				}
			})
		})
	}
}

// TestDryRunAfterATrip: those not started yet are in the batches they would be in,
// and who failed is passed over.
func TestDryRunAfterATrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := broken(t)
		p, r, batches := w.previewed()
		if len(batches) == 0 || slices.ContainsFunc(r.Batches, func(b PlannedBatch) bool { return !b.Later }) ||
			r.Moves != 8 || r.Members != 10 || len(r.Passed) != 2 || p.Summary["later"] != 8 {
			t.Errorf("batches %q, passed over %+v, %d of %d, %v", batches, r.Passed, r.Moves, r.Members, p.Summary)
		}
	})
}

// TestPace: where the breaker lets fewer move at a time than the batches and
// parallelism say, the dry-run says so, and rollout show counts on it.
func TestPace(t *testing.T) {
	batches := []PlannedBatch{{Name: "canary", Tenants: []string{"a"}}, {Name: "batch 1", Tenants: []string{"b", "c"}}, {Name: "batch 1", Tenants: []string{"d", "e"}, Later: true}}
	for _, c := range []struct {
		failures, parallelism int
		want                  string
	}{
		{0, 0, "one at a time: no more are on the way than could trip the breaker (maxConsecutiveFailures 1)"},
		{2, 0, "about 2 at a time: no more are on the way than could trip the breaker (maxConsecutiveFailures 2)"},
		{2, 3, "about 2 at a time: no more are on the way than could trip the breaker (maxConsecutiveFailures 2), and not parallelism 3"},
		{2, 2, ""},
		{2, 1, ""},
		{4, 0, ""},
		{4, 9, ""},
	} {
		if got := paceText(&plans.BatchPolicy{MaxConsecutiveFailures: c.failures, Parallelism: c.parallelism}, batches); got != c.want {
			t.Errorf("%d failures, parallelism %d: %q, want %q", c.failures, c.parallelism, got, c.want)
		}
	}

	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	members := []reconcile.PlannedMember{{RolloutMember: reconcile.RolloutMember{Class: reconcile.ClassUpgraded, Took: time.Minute}}}
	for range 8 {
		members = append(members, reconcile.PlannedMember{In: 1})
	}
	r := reconcile.Rollout{Rules: plans.BatchPolicy{Parallelism: 8, MaxConsecutiveFailures: 2}}
	if got := eta(&r, members, now).Sub(now); got != 4*time.Minute {
		t.Errorf("eight tenants of a minute, two at a time: %s", got)
	}
}
