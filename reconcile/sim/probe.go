package sim

import (
	"context"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// probed is one instance, by its engine's id, and its answers.
type probed struct {
	key     plans.Key
	spec    plans.Health
	ports   map[string]int
	started time.Time
	health  observed.Health
	ok      bool
	proved  bool
}

// watch takes in which instances there are to be probed.
func (w *world) watch(seen []observed.Instance) {
	there := map[string]bool{}
	for i := range seen {
		in := &seen[i]
		s, known := w.svcs[in.Digest]
		if in.Job || !known || s.Health == nil {
			continue
		}
		there[in.ID] = true
		p := w.probes[in.ID]
		if p == nil || !p.started.Equal(in.Started) {
			// Started again: what it answered before proves nothing.
			p = &probed{key: in.Key, spec: s.Health.Effective(), ports: in.Ports, started: in.Started}
			w.probes[in.ID] = p
		}
		in.Health = p.health
	}
	for id := range w.probes {
		if !there[id] {
			delete(w.probes, id)
		}
	}
}

// probe asks every watched instance once.
func (w *world) probe() {
	for _, id := range sorted(w.probes) {
		p := w.probes[id]
		got, err := w.prober.Probe(context.Background(), drivers.ProbeTarget{Key: p.key, Health: p.spec, Ports: p.ports})
		at := w.clock()
		if err != nil {
			p.health.At, p.health.Err = at, observed.Wrap("probe", p.key.String(), observed.Environment, err, "")
			continue
		}
		w.books.answered(id, p.started, got.OK)
		p.note(got, at)
	}
}

// note counts an answer as the agent does: until an instance has proved itself
// once, bad answers make it Failing only after the time it has to start.
func (p *probed) note(got drivers.Outcome, at time.Time) {
	h := &p.health
	if got.OK == p.ok {
		h.Run++
	} else {
		p.ok, h.Run = got.OK, 1
	}
	h.At, h.Err, h.Last = at, nil, got.Text
	verdict := h.Verdict
	switch {
	case p.ok && h.Run >= p.spec.Successes:
		verdict, p.proved = observed.Healthy, true
	case !p.ok && h.Run >= p.spec.Failures && (p.proved || !at.Before(p.started.Add(p.spec.Within.Std()))):
		verdict = observed.Failing
	}
	if verdict != h.Verdict {
		h.Verdict, h.Since = verdict, at
	}
}
