package agent

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// eager is the first pause between probes of an instance that has not answered
// well yet; it doubles up to the probe's interval.
const eager = 100 * time.Millisecond

// probes asks every running instance how it is, and keeps the run of answers
// of each instance ID. It has no goroutine of its own: due and ask are driven
// by the agent's prober loop, or by the dry-run. Safe for use by many goroutines.
type probes struct {
	prober drivers.Prober
	redact *Redactor

	mu   sync.Mutex // guards all below
	byID map[instanceID]*probed
	due  probeHeap
}

// instanceID tells instances apart: an engine's own ids are its own.
type instanceID struct{ runtime, id string }

func idOf(in *observed.Instance) instanceID { return instanceID{in.Runtime, in.ID} }

// probed is one instance and its answers.
type probed struct {
	id      instanceID
	key     plans.Key
	spec    plans.Health // effective
	ports   map[string]int
	runtime string
	started time.Time
	health  observed.Health
	ok      bool // the last answer was good
	proved  bool // answered well often enough once in this process
	pause   time.Duration
	at      time.Time // next probe
	index   int       // in the heap; -1: being asked, or gone
	gone    bool
}

func newProbes(p drivers.Prober, r *Redactor) *probes {
	return &probes{prober: p, redact: r, byID: map[instanceID]*probed{}}
}

// watch makes sure that the instance is probed as spec says from now on, and
// returns its health so far. spread puts off the first probe.
func (p *probes) watch(in *observed.Instance, spec plans.Health, now time.Time, spread time.Duration) observed.Health {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byID[idOf(in)]
	switch {
	case t == nil:
		t = &probed{id: idOf(in), key: in.Key, index: -1, at: now.Add(spread), pause: eager, started: in.Started}
		p.byID[idOf(in)] = t
		heap.Push(&p.due, t)
	case !t.started.Equal(in.Started):
		// Started again under the same ID: what it answered before proves nothing.
		t.started, t.health, t.proved, t.pause = in.Started, observed.Health{}, false, eager
		if t.index >= 0 {
			t.at = now
			heap.Fix(&p.due, t.index)
		}
	}
	t.spec, t.ports, t.runtime = spec, in.Ports, in.Runtime
	return t.health
}

// forget ends the probing of an instance.
func (p *probes) forget(id instanceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byID[id]
	if t == nil {
		return
	}
	delete(p.byID, id)
	t.gone = true
	if t.index >= 0 {
		heap.Remove(&p.due, t.index)
	}
}

// health returns the answers of an instance so far.
func (p *probes) health(id instanceID) (observed.Health, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byID[id]
	if t == nil {
		return observed.Health{}, false
	}
	return t.health, true
}

// unwell says that the last answer of an instance was a bad one.
func (p *probes) unwell(id instanceID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.byID[id]
	return t != nil && !t.ok && t.health.Run > 0
}

// unjudged says that more answers lead to a verdict on some instance that has
// none.
func (p *probes) unjudged() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byID {
		if t.health.Verdict == observed.Unproven && t.health.Err == nil {
			return true
		}
	}
	return false
}

// reset forgets every run of answers: time passed that nobody saw.
func (p *probes) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byID {
		t.health, t.proved, t.pause = observed.Health{}, false, eager
	}
}

// next returns when the next probe is due; zero: none is.
func (p *probes) next() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 {
		return time.Time{}
	}
	return p.due[0].at
}

// take returns an instance whose probe is due, nil if there is none. Whoever
// takes one asks it.
func (p *probes) take(now time.Time) *probed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 || p.due[0].at.After(now) {
		return nil
	}
	return heap.Pop(&p.due).(*probed)
}

// takeAll returns all instances whose probe is due.
func (p *probes) takeAll(now time.Time) (all []*probed) {
	for t := p.take(now); t != nil; t = p.take(now) {
		all = append(all, t)
	}
	return all
}

// putBack returns an instance that was taken and is not asked.
func (p *probes) putBack(t *probed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.gone {
		heap.Push(&p.due, t)
	}
}

// ask probes t once, and says whether its verdict changed by that.
func (p *probes) ask(ctx context.Context, t *probed, now func() time.Time) (verdict observed.Health, changed bool) {
	p.mu.Lock()
	target := drivers.ProbeTarget{Key: t.key, Runtime: t.runtime, Health: t.spec, Ports: t.ports}
	started := t.started
	p.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, target.Health.Timeout.Std())
	got, err := p.prober.Probe(asking, target)
	cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		// We end: an answer cut off by that says nothing.
		if !t.gone {
			heap.Push(&p.due, t)
		}
		return t.health, false
	}
	at := now()
	before := t.health
	if !t.gone && started.Equal(t.started) {
		t.note(got, err, at, p.redact)
	}
	if !t.gone {
		t.at = at.Add(t.pause)
		heap.Push(&p.due, t)
	}
	blindnessChanged := (before.Err == nil) != (t.health.Err == nil)
	return t.health, !t.gone && (t.health.Verdict != before.Verdict || blindnessChanged)
}

// note counts one answer. A prober that cannot see stops the count and resets
// nothing. Until an instance has proved itself once, bad answers make it
// Failing only after the time its plan gives it to start.
func (t *probed) note(got drivers.Outcome, err error, at time.Time, r *Redactor) {
	h := &t.health
	if err != nil {
		h.At, h.Err = at, blind("probe "+t.key.String(), err)
		t.pause = t.spec.Interval.Std()
		return
	}
	if got.OK == t.ok {
		h.Run++
	} else {
		t.ok, h.Run = got.OK, 1
	}
	h.At, h.Err, h.Last = at, nil, r.Text(got.Text)
	verdict := h.Verdict
	switch {
	case t.ok && h.Run >= t.spec.Successes:
		verdict, t.proved = observed.Healthy, true
	case !t.ok && h.Run >= t.spec.Failures && (t.proved || !at.Before(t.started.Add(t.spec.Within.Std()))):
		verdict = observed.Failing
	}
	if verdict != h.Verdict {
		h.Verdict, h.Since = verdict, at
	}
	if t.proved || got.OK {
		t.pause = t.spec.Interval.Std()
	} else {
		t.pause = min(2*t.pause, t.spec.Interval.Std())
	}
}

// probeHeap orders by due time.
type probeHeap []*probed

func (h probeHeap) Len() int           { return len(h) }
func (h probeHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h probeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *probeHeap) Push(x any) {
	t := x.(*probed)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *probeHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
