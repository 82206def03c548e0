package reconcile_test

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// ones is n batches of one.
func ones(n int) string { return strings.TrimSpace(strings.Repeat("1 ", n)) }

// TestBatchArithmetic: batches of ceil(batchPct × all members), at least one;
// canaries come out of the rest.
func TestBatchArithmetic(t *testing.T) {
	type row struct {
		members, pct, canaries int
		want                   string
	}
	// Every number of members with every share, without canaries.
	plain := []row{
		{0, 1, 0, ""},
		{0, 20, 0, ""},
		{0, 33, 0, ""},
		{0, 100, 0, ""},

		{1, 1, 0, "1"},
		{1, 20, 0, "1"},
		{1, 33, 0, "1"},
		{1, 100, 0, "1"},

		{2, 1, 0, "1 1"},
		{2, 20, 0, "1 1"},
		{2, 33, 0, "1 1"},
		{2, 100, 0, "2"},

		{3, 1, 0, "1 1 1"},
		{3, 20, 0, "1 1 1"},
		{3, 33, 0, "1 1 1"},
		{3, 100, 0, "3"},

		{49, 1, 0, ones(49)},
		{49, 20, 0, "10 10 10 10 9"},
		{49, 33, 0, "17 17 15"},
		{49, 100, 0, "49"},

		{50, 1, 0, ones(50)},
		{50, 20, 0, "10 10 10 10 10"},
		{50, 33, 0, "17 17 16"},
		{50, 100, 0, "50"},

		{51, 1, 0, ones(51)},
		{51, 20, 0, "11 11 11 11 7"},
		{51, 33, 0, "17 17 17"},
		{51, 100, 0, "51"},
	}
	for _, members := range []int{0, 1, 2, 3, 49, 50, 51} {
		for _, pct := range []int{1, 20, 33, 100} {
			if n := len(slices.DeleteFunc(slices.Clone(plain), func(r row) bool { return r.members != members || r.pct != pct })); n != 1 {
				t.Errorf("%d rows of %d members with %d%%", n, members, pct)
			}
		}
	}
	for _, c := range append(plain, []row{
		{3, 34, 0, "2 1"},
		{0, 100, 2, ""},
		{1, 20, 2, "c1"},
		{2, 20, 2, "c2"},
		{3, 100, 2, "c2 1"},
		{49, 20, 2, "c2 10 10 10 10 7"},
		{50, 20, 2, "c2 10 10 10 10 8"},
		{50, 100, 2, "c2 48"},
		{51, 33, 2, "c2 17 17 15"},
	}...) {
		t.Run(fmt.Sprintf("%d members %d%% %d canaries", c.members, c.pct, c.canaries), func(t *testing.T) {
			w := newWave(t)
			p := plans.BatchPolicy{Name: "standard", BatchPct: c.pct, MaxConsecutiveFailures: 99}
			if c.canaries > 0 {
				p.Canary = &plans.Canary{Count: c.canaries}
			}
			w.policies["standard"] = p
			for i := range c.members {
				w.add(fmt.Sprintf("t%02d", i), nil, "standard", "r1", true)
			}
			w.plan()
			w.settle()
			w.wants("r2", "")
			w.plan()
			w.run(10 * time.Hour)
			var got []string
			for _, e := range w.events {
				if e.Kind == reconcile.RolloutBatchStarted {
					size := e.Fields["size"]
					if e.Fields["batch"] == "canary" {
						size = "c" + size
					}
					got = append(got, size)
				}
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("batches %s, want %s", g, c.want)
			}
		})
	}
}

// TestRolloutsByChance plays random fleets, policies, failures, holds, blindness,
// commits and answers. After every decision the machine is made anew from what
// is written down (see wave.again); the breaker's promise is checked by hand.
func TestRolloutsByChance(t *testing.T) {
	seeds := int64(300)
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playRollouts(t, rand.New(rand.NewSource(seed))) })
	}
}

func playRollouts(t *testing.T, rnd *rand.Rand) {
	w := newWave(t)
	policy := func() {
		p := plans.BatchPolicy{Name: "standard", MaxConsecutiveFailures: rnd.Intn(4), Parallelism: rnd.Intn(4),
			Stagger: plans.Duration(rnd.Intn(3)) * 10 * plans.Second, Bake: plans.Duration(rnd.Intn(3)) * 60 * plans.Second}
		switch rnd.Intn(3) {
		case 0:
			p.BatchPct = 1 + rnd.Intn(100)
		case 1:
			p.BatchSize = 1 + rnd.Intn(6)
		}
		if rnd.Intn(2) == 0 {
			p.Canary = &plans.Canary{Count: rnd.Intn(3), Bake: plans.Duration(rnd.Intn(2)) * 300 * plans.Second}
			if rnd.Intn(2) == 0 {
				p.Canary.Select = map[string]string{"ring": "a"}
			}
		}
		if rnd.Intn(3) == 0 {
			p.Rings = []string{"b", "a"}
		}
		if rnd.Intn(3) == 0 {
			p.MaxFailureRatio = 0.3
		}
		if rnd.Intn(4) == 0 {
			p.OnTrip = plans.Rollback
		}
		if rnd.Intn(4) == 0 {
			p.MinHealthy = []plans.Floor{"50%", "90%"}[rnd.Intn(2)]
		}
		if rnd.Intn(4) == 0 {
			p.Windows = []plans.Window{{From: "04:00", To: "06:30"}, {From: "22:00", To: "01:00"}}
		}
		if rnd.Intn(5) == 0 {
			p.Approval = plans.PerBatch
		}
		w.policies["standard"] = p
	}
	policy()
	n := 1 + rnd.Intn(14)
	for i := range n {
		ring := []string{"a", "b", ""}[rnd.Intn(3)]
		w.add(fmt.Sprintf("t%02d", i), map[string]string{"ring": ring}, "standard", "r0", true)
	}
	w.plan()
	w.settle()
	release := 0
	for range 40 {
		p := w.fleet[rnd.Intn(len(w.fleet))]
		switch rnd.Intn(13) {
		case 0, 1:
			release++
			w.commit = fmt.Sprint("c", release)
			for _, q := range w.fleet {
				if rnd.Intn(4) == 0 {
					w.bad[fmt.Sprintf("%s@r%d", q.want.Name, release)] = true
				}
			}
			w.wants(fmt.Sprint("r", release), "")
		case 2:
			policy()
		case 3:
			p.held = !p.held
		case 4:
			p.blind = !p.blind
		case 5:
			p.degraded = !p.degraded
		case 6:
			clear(w.bad)
		case 7, 8:
			w.answerAll(func(answers []string) string { return answers[rnd.Intn(len(answers))] })
		case 9:
			p.target.Aside = fmt.Sprint("a", rnd.Intn(3))
		case 10:
			w.runs = w.reborn()
			for _, q := range w.fleet {
				q.permit = reconcile.Permit{}
			}
		case 11:
			p.stuck = !p.stuck
		case 12:
			if list := w.runs.List(); len(list) > 0 && rnd.Intn(3) == 0 {
				w.answers[list[0].BackID()] = reconcile.RollbackMoved
				w.runs.Answered()
			}
		}
		w.plan()
		w.run(time.Duration(rnd.Intn(600)) * time.Second)
	}
	// Calm: nothing fails, nobody holds, everything is seen, and who is asked answers.
	clear(w.bad)
	for _, p := range w.fleet {
		p.held, p.blind, p.degraded, p.stuck = false, false, false, false
	}
	for range 20 {
		w.answerAll(func(answers []string) string {
			for _, word := range []string{reconcile.Proceed, reconcile.RetryFailed, plans.Stay} {
				if slices.Contains(answers, word) {
					return word
				}
			}
			t.Fatalf("answers %q", answers)
			return ""
		})
		w.run(24 * time.Hour)
	}
	for _, p := range w.fleet {
		if p.at != p.target && p.withheld[p.target] == "" {
			t.Errorf("%s is at %v and not at %v, and nothing withholds it: %+v %s", p.want.Name, p.at, p.target, p.report, p.permit.Why)
		}
	}
	for _, r := range w.runs.List() {
		s := r.Summary
		if sum := s.Upgraded + s.Failed + s.RolledBack + s.Skipped + s.Held + s.Unknown; sum != r.Size || !r.Phase.Closed() {
			t.Errorf("%s is %s: %+v of %d", r.ID, r.Phase, s, r.Size)
		}
	}
}
