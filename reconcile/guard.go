package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// The guards stand where an instance is stopped or removed, whatever row asked
// for it. They are asked again here because a slot that serves is the one thing
// that must not be taken away by a mistake in any of the rows.

// spared says that nothing in a slot may be stopped: it is routed, and not
// within a confirmed hold of ours.
func (m *machine) spared(slot plans.Slot) bool {
	switch {
	case slot == plans.Shared:
		return false // never routed as a slot; upgraded alone
	case m.rec.Removal != nil:
		return false // a tombstone was reviewed for it
	case m.rec.Entry.Tenant == "" && m.seen.Route.Entry.Tenant == "":
		// Without routes the slot on record serves.
		cur := m.rec.Current
		a := m.rec.Attempt
		undone := a != nil && a.Back && a.New.Slot == slot
		return cur != nil && cur.Slot == slot && !undone && (a == nil || !m.stopsFirst())
	case m.seen.Router.Blind():
		return true // who is routed cannot be told
	case m.routed() != slot:
		return false
	}
	return !m.held()
}

// stop orders an instance to stop, unless its slot is spared.
func (m *machine) stop(step Phase, p part, why string) bool {
	if m.spared(p.key.Slot) {
		return false
	}
	grace := plans.DefaultStopLimit.Std()
	if p.svc.StopTimeout > 0 {
		grace = p.svc.StopTimeout.Std()
	}
	return m.act(step, string(p.key.Slot)+"/"+p.name, Action{Verb: Stop, Key: p.key, Slot: p.key.Slot,
		Grace: grace, Limit: grace + time.Minute, Why: why})
}

// remove orders an instance away, unless its slot is spared.
func (m *machine) remove(step Phase, k plans.Key, why string) bool {
	if m.spared(k.Slot) {
		return false
	}
	return m.removeAlone(step, k, why)
}

// removeAlone orders away an instance that no slot depends on: a sidecar, a
// job that ended, or a service its routed slot no longer has.
func (m *machine) removeAlone(step Phase, k plans.Key, why string) bool {
	return m.act(step, startKey(k), Action{Verb: Remove, Key: k, Slot: k.Slot, Why: why})
}
