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

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

var (
	schedules = flag.Int("schedules", 300, "how many seeds TestSeeds runs")
	first     = flag.Uint64("first", 1, "the first of them")
	seed      = flag.Uint64("seed", 0, "the seed TestSeed repeats")
	tenants   = flag.Int("tenants", 0, "how many tenants; 0: 1 to 5, by the seed")
	steps     = flag.Int("steps", 0, "steps of the first phase; 0: by the seed")
	save      = flag.String("save", "", "keep a broken case as a story of this name")
	without   = flag.String("without", "", "fields of weather and shape to leave out, by comma")
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
					w := run(t, Case{Seed: s, Tenants: *tenants}, nil)
					if w.broken != nil {
						t.Error(smallest(t, w))
					}
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
	c := Case{Seed: *seed, Tenants: *tenants, Steps: *steps}
	if *without != "" {
		c.Without = strings.Split(*without, ",")
	}
	w := run(t, c, nil)
	t.Log("\n" + w.text())
	if w.broken != nil {
		t.Error(smallest(t, w))
	}
}

// run makes one run in virtual time.
func run(t *testing.T, c Case, mistake func(hands) hands) (w *world) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, c, mistake)
		w.live()
		w.rest()
		w.broken = w.check.first()
		w.cancel()
		<-w.ended
	})
	return w
}

// smallest makes a run that broke a rule as small as it gets, for a person.
func smallest(t *testing.T, w *world) string {
	small := Shrink(w, func(c Case) *world { return run(t, c, w.mistake) })
	if *save != "" {
		if err := stories.Keep(*save, small.broken.Error(), small.c.String()); err != nil {
			t.Error(err)
		}
	}
	return fmt.Sprintf("seed %d breaks a rule; as small as it gets:\n%s: %v\nrepeat it: go test ./reconcile/sim/agentworld -run TestSeed$ -args %s\n%s",
		w.c.Seed, small.c, small.broken, small.c, small.text())
}

// text is what happened, for a person.
func (w *world) text() string {
	policies, _ := json.Marshal(w.plan.Policies)
	s := fmt.Sprintf("weather %+v\npolicies %s\n", w.o, policies)
	for _, l := range w.lanes {
		s += fmt.Sprintf("lane %s %+v\n", l.template, l.shape)
	}
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
	n := 6 + w.dice.Of("steps").IntN(10)
	if w.c.Steps > 0 {
		n = w.c.Steps
	}
	for w.steps = range n {
		r := w.dice.Of("pause")
		w.sleep(time.Second + time.Duration(r.Int64N(int64([]time.Duration{5 * time.Second, time.Minute, 5 * time.Minute}[r.IntN(3)]))))
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
		w.kill(w.within("revive", 20*time.Second))
	default:
	}
}

// foresee holds S8: where nothing else moves, what the dry-run prints is what
// happens: the rollout, its batches, and their order.
func (w *world) foresee() {
	if !w.settled() {
		return
	}
	l := w.some()
	if l.Named {
		return // its flips are no rollout of new versions
	}
	w.next(l)
	next := *w.plan
	next.Tenants = append([]plans.Tenant(nil), w.plan.Tenants...)
	w.says(&next, l)
	p, err := w.agent.DryRun(w.t.Context(), &next)
	if err != nil || len(p.Rollouts) > 1 {
		w.check.fail("S8", "the dry-run says %v and %d rollouts", err, len(p.Rollouts))
		return
	}
	if len(p.Rollouts) == 0 {
		return // nobody is in that lane
	}
	var said []string
	for _, b := range p.Rollouts[0].Batches {
		for _, name := range b.Tenants {
			said = append(said, b.Name+" "+name)
		}
	}
	began := time.Now()
	w.commit(func(p *plans.Plan) { w.says(p, l) })
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
		case reconcile.Degraded:
			if !w.spoilt(t.Name) {
				return false
			}
		default:
			if truth := w.host.Truth(t.Name); w.plan.Tenant(t.Name) != nil || len(truth.Instances) > 0 {
				return false // else nothing is left of one that the plan does not name
			}
		}
	}
	for i := range w.plan.Tenants {
		name := w.plan.Tenants[i].Name
		there := slices.ContainsFunc(s.Tenants, func(r agent.TenantStatus) bool { return r.Name == name })
		if !there && !w.plan.Tenants[i].Removed {
			return false
		}
	}
	return true
}

// spoilt says that what is upgraded alone, or in an idle slot, got sick after its
// proof in a tenant, or what a person said shall stay did: there is nothing to go
// back to by itself.
func (w *world) spoilt(tenant string) bool {
	t := w.plan.Tenant(tenant)
	if t == nil {
		return false
	}
	late := func(s plans.Service) bool { return strings.Contains(s.Image, "/late-") }
	return late(t.Core.Services["app"]) && w.check.said(tenant) || late(t.Aside["side"]) || t.Idle != nil && late(t.Idle.Services["app"])
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
	for _, part := range parts {
		w.host.Down(part, false)
	}
	w.host.SetFree(room)
	w.store.full.Store(false)
	w.commit(func(p *plans.Plan) {
		for name, policy := range p.Policies {
			policy.Windows = nil
			p.Policies[name] = policy
		}
	})
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
		switch {
		case want == nil:
			w.check.reached["end not in the plan "+string(t.State)]++
			continue
		case want.Removed:
			if want.Hold == nil && (len(truth.Instances) > 0 || e.Tenant != "") {
				w.check.fail("L1", "of %s, which is removed, there are %d instances and routes %v", t.Name, len(truth.Instances), e.Tenant != "")
			}
			w.check.reached["end removed"]++
			continue
		}
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
	w.check.ends()
	time.Sleep(20 * time.Minute) // past every soak and retention
	writes := fmt.Sprint(w.host.Writes())
	w.agent.Nudge()
	time.Sleep(20 * time.Minute)
	if after := fmt.Sprint(w.host.Writes()); after != writes {
		w.check.fail("S9", "at rest it goes on writing: %s, then %s", writes, after)
	}
}
