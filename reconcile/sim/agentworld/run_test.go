package agentworld

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
	"github.com/gitops-fleet/reconcile/reconcile/sim/fleet"
)

var (
	schedules = flag.Int("schedules", 300, "how many seeds TestSeeds runs")
	first     = flag.Uint64("first", 1, "the first of them")
	seed      = flag.Uint64("seed", 0, "the seed TestSeed repeats")
	tenants   = flag.Int("tenants", 0, "how many tenants; 0: 1 to 5, by the seed")
)

// TestSeeds runs the whole agent under many seeds and wants every one clean.
func TestSeeds(t *testing.T) {
	reached := map[string]int{}
	var mu sync.Mutex
	began := time.Now()
	t.Run("all", func(t *testing.T) {
		const lanes = 4
		for lane := range uint64(lanes) {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for s := *first + lane; s < *first+uint64(*schedules) && !t.Failed(); s += lanes {
					w := run(t, s)
					mu.Lock()
					for what, n := range w.check.reached {
						reached[what] += n
					}
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d schedules of the whole agent in %s", *schedules, time.Since(began).Round(time.Second))
	for _, what := range slices.Sorted(func(yield func(string) bool) {
		for k := range reached {
			if !yield(k) {
				return
			}
		}
	}) {
		t.Logf("%8d %s", reached[what], what)
	}
	for _, what := range []string{"switched", "begun", "rollout.completed", "rollout.circuit_breaker_tripped", "agent.interrupted", "foreseen"} {
		if reached[what] == 0 && *schedules >= 100 {
			t.Errorf("no schedule came to see %q", what)
		}
	}
}

// TestSeed repeats one run and prints it.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("give one with -seed")
	}
	w := run(t, *seed)
	t.Log("\n" + w.text())
}

// run makes one run in virtual time.
func run(t *testing.T, seed uint64) (w *world) {
	t.Helper()
	var v *fleet.Violation
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, seed)
		w.live()
		w.rest()
		v = w.check.first()
		w.cancel()
		<-w.ended
	})
	if v != nil {
		t.Errorf("seed %d: %v\nrepeat it: go test ./reconcile/sim/agentworld -run TestSeed$ -args -seed %d -tenants %d\n%s", seed, v, seed, *tenants, w.text())
	}
	return w
}

// text is what happened, for a person.
func (w *world) text() string {
	policy, _ := json.Marshal(w.plan.Policies["standard"])
	s := fmt.Sprintf("weather %+v\npolicy %s\n", w.o, policy)
	if logged, err := w.store.Reopen().Events(journal.Query{Last: 120}); err == nil {
		for _, e := range logged {
			w.log = append(w.log, fmt.Sprintf("%s %s: %s", e.Time.Format("15:04:05.000"), e.Kind, e.Text))
		}
	}
	lines := slices.Clone(w.log)
	slices.Sort(lines)
	return s + strings.Join(slices.Compact(lines), "\n")
}

// live is the first phase: anything may happen, and nothing wrong may.
func (w *world) live() {
	for range 6 + w.rng.IntN(10) {
		w.sleep(time.Second + w.within([]time.Duration{5 * time.Second, time.Minute, 5 * time.Minute}[w.rng.IntN(3)]))
		if w.check.first() != nil {
			return
		}
		w.revive()
		if w.o == (weather{}) {
			w.foresee()
			continue
		}
		w.happen()
	}
}

// sleep lets time pass, in pieces after which a dead agent is started again.
func (w *world) sleep(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(10*time.Second, time.Until(end)))
		w.revive()
	}
}

// revive starts an agent again that died at its journal.
func (w *world) revive() {
	select {
	case <-w.ended:
		w.kill(w.within(20 * time.Second))
	default:
	}
}

func (w *world) happen() {
	switch w.rng.IntN(6) {
	case 0, 1:
		w.upgrade()
	case 2:
		w.answer()
	case 3:
		if len(w.history) > 0 { // a revert, or the broken target again
			v := w.history[w.rng.IntN(len(w.history))]
			w.commit(func(p *plans.Plan) { w.says(p, v) })
			w.note("commit: back to version %d", v)
		}
	}
	if w.chance(w.o.hold) {
		i := w.rng.IntN(len(w.plan.Tenants))
		w.commit(func(p *plans.Plan) {
			if p.Tenants[i].Hold == nil {
				p.Tenants[i].Hold = &plans.HoldWord{Reason: "a person looks at it"}
			} else {
				p.Tenants[i].Hold = nil
			}
		})
	}
	if w.chance(w.o.stale) {
		q := "ro-000000.trip1-00000000"
		if len(w.old) > 0 {
			q = w.old[w.rng.IntN(len(w.old))]
		}
		w.commit(func(p *plans.Plan) {
			p.Decisions = append(p.Decisions, plans.Decision{Name: fmt.Sprint("stale", len(p.Decisions)), Question: q + "x", Answer: reconcile.ContinueAnyway})
		})
	}
	name := w.plan.Tenants[w.rng.IntN(len(w.plan.Tenants))].Name
	truth := w.host.Truth(name)
	if w.chance(w.o.die) && len(truth.Instances) > 0 {
		key := truth.Instances[w.rng.IntN(len(truth.Instances))].Key
		w.note("%s dies", key)
		w.host.Crash(key, 1)
	}
	if w.chance(w.o.reboot) {
		w.note("reboot")
		w.host.Reboot()
		w.kill(w.within(time.Minute))
	}
	if w.chance(w.o.blind) {
		part := []mem.Part{mem.PartRuntime, mem.PartRouter, mem.PartProber}[w.rng.IntN(3)]
		w.note("%s is down", part)
		w.host.Down(part, true)
		time.AfterFunc(w.within(2*time.Minute)+time.Second, func() { w.host.Down(part, false) })
	}
	if w.chance(w.o.kill) {
		w.kill(w.within(3 * time.Minute))
	}
}

// upgrade commits a new version.
func (w *world) upgrade() {
	w.version++
	for i := range w.plan.Tenants {
		if w.chance(w.o.bad) {
			w.bad[fmt.Sprint(w.plan.Tenants[i].Name, "@", w.version)] = true
		}
	}
	w.history = append(w.history, w.version)
	w.commit(func(p *plans.Plan) { w.says(p, w.version) })
	w.note("commit: version %d", w.version)
}

// answer has a person answer what is asked.
func (w *world) answer() (news bool) {
	for _, q := range w.questions() {
		if slices.ContainsFunc(w.plan.Decisions, func(d plans.Decision) bool { return d.Question == q.ID }) {
			continue
		}
		var words []string
		for word := range plans.Sorted(q.Answers) {
			if !w.isCalm() || word != reconcile.RetryFailed && word != "wait" {
				words = append(words, word)
			}
		}
		if len(words) == 0 {
			continue
		}
		word := words[w.rng.IntN(len(words))]
		w.note("answer %s to %s", word, q.ID)
		w.old = append(w.old, q.ID)
		w.commit(func(p *plans.Plan) {
			p.Decisions = append(p.Decisions, plans.Decision{Name: q.ID, Question: q.ID, Answer: word})
		})
		news = true
	}
	return news
}

// foresee holds S8: where nothing else moves, what the dry-run prints is what
// happens: the rollout, its batches, and their order.
func (w *world) foresee() {
	if !w.settled() {
		return
	}
	w.version++
	next := *w.plan
	next.Tenants = append([]plans.Tenant(nil), w.plan.Tenants...)
	w.says(&next, w.version)
	p, err := w.agent.DryRun(w.t.Context(), &next)
	if err != nil || len(p.Rollouts) != 1 {
		w.check.fail("S8", "the dry-run says %v and %d rollouts", err, len(p.Rollouts))
		return
	}
	var said []string
	for _, b := range p.Rollouts[0].Batches {
		for _, name := range b.Tenants {
			said = append(said, b.Name+" "+name)
		}
	}
	began := time.Now()
	w.commit(func(p *plans.Plan) { w.says(p, w.version) })
	for range 200 {
		time.Sleep(30 * time.Second)
		if w.settled() {
			break
		}
	}
	logged, err := w.store.Events(journal.Query{Since: began, Rollout: p.Rollouts[0].ID})
	if err != nil {
		w.check.fail("S8", "no events: %v", err)
		return
	}
	var did []string
	for _, e := range logged {
		if e.Kind == reconcile.RolloutTenantStarted {
			batch := e.Fields["batch"]
			if batch != "canary" {
				batch = "batch " + batch
			}
			did = append(did, batch+" "+e.Tenant)
		}
	}
	if !slices.Equal(said, did) {
		w.check.fail("S8", "the dry-run says %q, what happens is %q", said, did)
	}
	w.check.reached["foreseen"]++
}

// settled says that every tenant is at rest and nothing is asked or on its way.
func (w *world) settled() bool {
	s := w.agent.Status()
	for _, r := range s.Rollouts {
		if !r.Phase.Closed() {
			return false
		}
	}
	for _, t := range s.Tenants {
		switch t.State {
		case reconcile.Converged, reconcile.Held, reconcile.HeldBack:
		default:
			return false
		}
	}
	return len(s.Tenants) == len(w.plan.Tenants)
}

// rest is the calm: nothing fails, people answer, and everything must come to
// rest within hours.
func (w *world) rest() {
	if w.check.first() != nil {
		return
	}
	w.mu.Lock()
	w.calm = true
	w.mu.Unlock()
	w.note("calm")
	w.revive()
	for _, part := range []mem.Part{mem.PartRuntime, mem.PartRouter, mem.PartProber} {
		w.host.Down(part, false)
	}
	for n := range 240 {
		time.Sleep(time.Minute)
		w.revive()
		if n == 120 { // a rollout that goes back waits for who is held
			w.check.reached["hold taken out"]++
			w.commit(func(p *plans.Plan) {
				for i := range p.Tenants {
					p.Tenants[i].Hold = nil
				}
			})
		}
		if w.answer() || !w.settled() {
			continue
		}
		w.finished()
		return
	}
	s := w.agent.Status()
	for _, t := range s.Tenants {
		w.note("%s is %s %s %s: %s; %s", t.Name, t.State, t.Reason, t.Phase, t.Why, t.Next)
	}
	for _, r := range s.Rollouts {
		w.note("%s is %s: %+v", r.ID, r.Phase, r.Gate)
	}
	w.check.fail("L1", "after four hours of calm it is not at rest")
}

// finished holds what must be true at rest, and S9: that nothing happens any more.
func (w *world) finished() {
	for _, t := range w.agent.Status().Tenants {
		truth := w.host.Truth(t.Name)
		e := truth.Route.Entry
		want := w.plan.Tenant(t.Name)
		app := truth.Instance(e.Slot, "app")
		switch {
		case t.State == reconcile.HeldBack && (t.Reason == "" || t.Why == ""):
			w.check.fail("L1", "%s is held back without a reason", t.Name)
		case truth.Route.Held:
			w.check.fail("S2", "requests of %s wait", t.Name)
		case t.State != reconcile.Converged:
		case app == nil || app.Phase != observed.Running || app.Generation != want.Target().Core:
			w.check.fail("L1", "%s is converged, and in %q runs %+v", t.Name, e.Slot, app)
		}
		w.check.reached["end "+string(t.State)+" "+t.Reason]++
	}
	time.Sleep(20 * time.Minute) // past every soak
	writes := fmt.Sprint(w.host.Writes())
	w.agent.Nudge()
	time.Sleep(20 * time.Minute)
	if after := fmt.Sprint(w.host.Writes()); after != writes {
		w.check.fail("S9", "at rest it goes on writing: %s, then %s", writes, after)
	}
}
