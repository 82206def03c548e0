package agent

import (
	"errors"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// errRepair is why an action that may take long is cancelled.
var errRepair = errors.New("what serves needs to be repaired first; this is taken up again after it")

// maxYields bounds how often an attempt lets go of an action: what serves and
// crashes again and again must not bar the version that mends it.
const maxYields = 3

// long says that an action may take so long that nothing may wait for its end.
func long(a *reconcile.Action) bool {
	switch a.Verb {
	case reconcile.Pull:
		return true
	case reconcile.Clone, reconcile.Snapshot:
		return a.Limit > longLimit // not one that requests wait for
	}
	return false
}

// longLimit parts copies of what may be large from what is done at once.
const longLimit = 10 * time.Minute

// patient says that among the actions under way is one that may take long.
func (m *member) patient() bool {
	return slices.ContainsFunc(m.flight, func(a reconcile.Action) bool { return long(&a) })
}

// gives says that a tenant whose hands are full would now repair what serves.
// The core is asked on what was seen, and what it says is not kept.
func (e *Engine) gives(m *member, now time.Time) bool {
	if a := m.rec.Attempt; a == nil {
		return false
	} else if m.yielded.attempt != a.ID {
		m.yielded.attempt, m.yielded.times = a.ID, 0
	}
	if m.yielded.times >= maxYields {
		return false
	}
	e.refresh(m)
	e.specs.of(m)
	e.ports.at, e.ports.now = m.want, now
	in := e.input(m, now)
	in.Elsewhere, in.Over, in.Permit, in.Answers = e.elsewhere(m.name), e.over, m.permit, e.answers
	d, _ := reconcile.Step(in, m.rec)
	if !slices.ContainsFunc(d.Actions, func(a reconcile.Action) bool {
		return a.Step == reconcile.Repair && (a.Verb == reconcile.Start || a.Verb == reconcile.Route)
	}) {
		return false
	}
	m.yielded.times++
	return true
}

// yield cancels the long actions of tenants whose serving version needs a repair.
// The caller holds mu.
func (a *Agent) yield() {
	for _, tenant := range a.engine.giving {
		if j := a.running[tenant]; j != nil && long(j.action()) {
			j.cancel(errRepair)
		}
	}
	a.engine.giving = nil
}
