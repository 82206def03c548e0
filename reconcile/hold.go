package reconcile

import (
	"strconv"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// holds deals with a person's hold, and returns whether the step ends with it.
// It takes effect at a safe state: what is in a window where requests wait or
// old services are stopped is finished first, one way or the other.
func (m *machine) holds() bool {
	word := m.in.Want
	if word == nil || word.Hold == nil || !word.Hold.Until.IsZero() && !m.now.Before(word.Hold.Until) {
		if !m.rec.Holding.IsZero() {
			m.release()
		}
		return false
	}
	if !m.safe() && (m.rec.Holding.IsZero() || m.seen.Route.Held) {
		// Once in force it stays, whatever happens to the tenant, but for
		// requests that wait by our own order.
		m.pending = "hold pending: " + word.Hold.Reason
		return false
	}
	if m.rec.Holding.IsZero() {
		m.rec.Holding = m.now
		m.event(TenantHeld, m.in.Name+" is held: "+word.Hold.Reason, "reason", word.Hold.Reason)
	}
	if a := m.rec.Attempt; a != nil {
		a.Hold = nil // it was ordered and is not in force: another one, in time
	}
	next := "until the hold is taken out of the plan"
	if !word.Hold.Until.IsZero() {
		next = "until " + stamp(word.Hold.Until)
		m.wakeAt(word.Hold.Until)
	}
	m.say(Held, "", word.Hold.Reason, next)
	m.onlyWatch()
	return true
}

// onlyWatch notes what moved of a tenant that nobody repairs.
func (m *machine) onlyWatch() {
	cur := m.rec.Current
	if cur == nil || m.rec.Attempt != nil {
		return
	}
	parts, _ := m.parts(cur)
	shared, _ := m.shared()
	for _, p := range append(runs(parts, cur.Settled), shared...) {
		switch i := m.instance(p); {
		case i == nil:
			m.moved("missing", startKey(p.key), startKey(p.key)+" is missing")
		case !p.made(i):
			m.moved("changed", startKey(p.key), startKey(p.key)+" is not the one on record")
		case i.Phase == observed.Exited && !i.Restarting && !ends(p, i):
			m.moved("stopped", startKey(p.key), startKey(p.key)+" has stopped with exit status "+itoa(i.Exit))
		}
	}
}

func (m *machine) release() {
	m.rec.Holding = time.Time{}
	m.calm()
	m.event(TenantReleased, m.in.Name+" is not held any more")
}

// safe says that one slot is routed and nothing is held: the tenant can stay
// like this for as long as a person wants.
func (m *machine) safe() bool {
	a := m.rec.Attempt
	if a == nil {
		return true
	}
	if len(a.Frozen) > 0 {
		return false
	}
	if m.seen.Route.Held || a.Hold != nil && (a.Stopped || a.Ordered || a.Back && !m.routeIs(m.rec.Entry, false)) {
		return false
	}
	if a.Back && a.Restored {
		return len(m.wrongPolicies()) == 0
	}
	if a.Stopped && !a.Swapped && !m.whole() {
		return false
	}
	// Between the switch and its confirmation nobody knows yet which slot serves,
	// and until restart policies follow, a reboot would start the wrong one.
	return (!a.Switched || a.Swapped) && len(m.wrongPolicies()) == 0
}

// whole says that all of what serves runs, whatever was ordered to stop.
func (m *machine) whole() bool {
	a, cur := m.rec.Attempt, m.rec.Current
	if a.Kind == KindAside {
		i := m.seen.Instance(a.New.Slot, a.Aside)
		return i != nil && i.Phase == observed.Running
	}
	if cur == nil {
		return false
	}
	parts, ok := m.parts(cur)
	for _, p := range runs(parts, cur.Settled) {
		if i := m.instance(p); i == nil || !p.made(i) || i.Phase != observed.Running {
			return false
		}
	}
	return ok
}

func itoa(n int) string { return strconv.Itoa(n) }
