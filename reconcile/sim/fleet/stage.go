package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// stage is what all runs of a plan have in common.
type stage struct {
	o        Options
	policies map[string]plans.BatchPolicy
	tenants  []*plans.Tenant
	targets  []target
	paces    []pace
	least    []time.Duration // the probes take
	lanes    map[string]string
	waves    map[string]*Wave
}

func newStage(p *plans.Plan, o Options) *stage {
	s := &stage{o: o, policies: map[string]plans.BatchPolicy{}, lanes: map[string]string{}, waves: map[string]*Wave{}}
	for name, policy := range plans.Sorted(p.Policies) {
		s.policies[name] = policy
	}
	for i := range p.Tenants {
		t := p.Tenants[i]
		if t.Removed {
			continue
		}
		if _, known := p.Policies[t.Policy]; !known {
			// One after the other is what the zero policy says, too.
			t.Policy = ""
			s.policies[""] = plans.BatchPolicy{}
		}
		s.tenants = append(s.tenants, &t)
		s.targets = append(s.targets, t.Target())
		pace, least := paceOf(&t)
		s.paces, s.least = append(s.paces, pace), append(s.least, least)
		lane := t.Policy + "/" + t.Template
		if t.Template == "" {
			lane = t.Policy + "/tenant " + t.Name
		}
		s.lanes[t.Name] = lane
		w := s.waves[lane]
		if w == nil {
			w = &Wave{Policy: t.Policy, Template: t.Template}
			if t.Template == "" {
				w.Template = t.Name
			}
			s.waves[lane] = w
		}
		w.Tenants++
		if t.Hold != nil {
			w.Held++
		}
	}
	return s
}

// paceOf is how long the parts of a tenant's way take by its plan, and how long
// its probes take at least.
func paceOf(t *plans.Tenant) (pace, time.Duration) {
	p := pace{bake: t.Bake.Std(), soak: t.Soak.For.Std(), undo: 2 * time.Second, notice: time.Second,
		recreate: t.Strategy == plans.Recreate && !t.Overlap}
	var least time.Duration
	for _, s := range plans.Sorted(t.Core.Services) {
		if s.Job != nil {
			continue
		}
		h := s.Health.Effective()
		p.within = max(p.within, h.Within.Std())
		p.notice = max(p.notice, time.Duration(h.Failures)*h.Interval.Std())
		least = max(least, time.Duration(h.Successes-1)*h.Interval.Std())
	}
	p.serving = p.bake + time.Second // requests are short: a drain is hardly seen
	return p, least
}

// luck is what became of one lane in one run.
type luck struct {
	phase         reconcile.RolloutPhase
	tripped       bool
	took, stopped time.Duration
	broken        int
	failed, moved int
	gate          reconcile.Gate // of one that came to no end
}

// ills notes when tenants were broken, by lane.
type ills struct {
	blink
	s    *stage
	when map[string][]change
}

// change is one more or one less broken tenant.
type change struct {
	at time.Time
	by int
}

// Broken keeps it.
func (b *ills) Broken(tenant string, from, to time.Time) {
	lane := b.s.lanes[tenant]
	b.when[lane] = append(b.when[lane], change{from, 1}, change{to, -1})
}

// longest is the virtual time after which a run is given up.
const longest = 400 * 24 * time.Hour

// play makes one run.
func (s *stage) play(seed uint64) map[string]*luck {
	rng := rand.New(rand.NewPCG(seed, 0xf1ee7))
	w := newWorld(Real)
	sick := &ills{s: s, when: map[string][]change{}}
	w.now, w.commit, w.policies, w.sees = s.o.Begin, "plan", s.policies, sick
	fates := make([]Fate, len(s.tenants))
	for i, want := range s.tenants {
		fates[i] = s.draw(rng, s.least[i])
		t := w.add(want, s.targets[i], s.paces[i])
		// It runs something else, which is good.
		t.serves, t.release = target{Core: "before", Aside: t.target.Aside, Idle: t.target.Idle}, "before"
		t.reached = t.serves
	}
	w.fate = func(t *tenant) Fate { return fates[t.place] }
	w.replan()
	end := w.now.Add(longest)
	for w.settle() && !s.over(w) {
		if s.approve(w) {
			continue
		}
		at := w.ahead()
		if at.IsZero() || at.After(end) {
			break
		}
		w.now = maxTime(w.now, at)
	}
	return s.tell(w, sick)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// draw draws what becomes of a tenant's version.
func (s *stage) draw(rng *rand.Rand, least time.Duration) Fate {
	f := Fate{Ready: max(least, time.Duration(float64(s.o.Ready)*math.Pow(2, 2*rng.Float64()-1)))}
	bad, serving, shows := rng.Float64() < s.o.Fail, rng.Float64() < s.o.Serving, rng.Float64()
	switch {
	case bad && serving:
		f.Fault, f.Shows = Serving, time.Duration(shows*float64(s.o.ShowWithin))
	case bad:
		f.Fault = AtGate
	}
	return f
}

// over says that all rollouts are closed or wait for a person.
func (s *stage) over(w *world) bool {
	n := 0
	for _, l := range w.stored {
		if !l.Phase.Closed() && (l.Trip == nil || l.Trip.Question == nil) {
			return false
		}
		n++
	}
	return n >= len(s.waves)
}

// approve answers whoever asks before a batch: it may go on.
func (s *stage) approve(w *world) (news bool) {
	for _, l := range w.stored {
		q := l.Question()
		if q == nil || l.Trip != nil || w.answers[q.ID] != "" {
			continue
		}
		if _, ok := q.Answers[reconcile.Proceed]; ok {
			w.answers[q.ID], news = reconcile.Proceed, true
		}
	}
	if news {
		w.machine.Answered()
	}
	return news
}

// tell sums one run up.
func (s *stage) tell(w *world, sick *ills) map[string]*luck {
	out := map[string]*luck{}
	for _, l := range w.stored {
		name := l.Policy + "/" + l.Template
		if l.Template == "" {
			for m := range l.members {
				name = s.lanes[m]
			}
		}
		u := &luck{gate: l.Gate, phase: l.Phase, took: l.Ended.Sub(l.Planned), failed: l.Summary.Failed, moved: l.Summary.Upgraded}
		if l.Trip != nil {
			u.tripped, u.stopped = true, l.Trip.Since.Sub(l.Planned)
		}
		out[name] = u
	}
	for _, t := range w.order {
		if !t.ill.IsZero() { // nobody takes it back: it stays so
			sick.Broken(t.name, t.ill, maxTime(w.now, t.ill).Add(longest))
		}
	}
	for lane, when := range sick.when {
		slices.SortFunc(when, func(a, b change) int {
			if c := a.at.Compare(b.at); c != 0 {
				return c
			}
			return a.by - b.by
		})
		n := 0
		for _, c := range when {
			n += c.by
			if u := out[lane]; u != nil {
				u.broken = max(u.broken, n)
			}
		}
	}
	return out
}

// sum puts all runs together.
func (s *stage) sum(runs []map[string]*luck) []Wave {
	var out []Wave
	for lane, wave := range plans.Sorted(s.waves) {
		var took, stopped []time.Duration
		var broken, failed, moved []int
		wave.Waits = nil
		for _, run := range runs {
			u := run[lane]
			if u == nil {
				wave.Other++
				continue
			}
			broken, failed, moved = append(broken, u.broken), append(failed, u.failed), append(moved, u.moved)
			switch {
			case u.phase == reconcile.RolloutCompleted:
				wave.Completed++
				took = append(took, u.took)
			case u.tripped:
				wave.Tripped++
				stopped = append(stopped, u.stopped)
			case u.phase == reconcile.RolloutRolledBack:
				wave.RolledBack++
				stopped = append(stopped, u.took)
			default:
				wave.Other++
				wave.waits(&u.gate)
			}
		}
		wave.Duration, wave.Stopped = spread(took), spread(stopped)
		wave.Broken, wave.Failed, wave.Moved = count(broken), count(failed), count(moved)
		out = append(out, *wave)
	}
	return out
}
