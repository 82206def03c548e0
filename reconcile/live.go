package reconcile

import "github.com/gitops-fleet/reconcile/plans"

// Live fields change in place: the routes in one revision, without a new slot.

// liveEntry is what the router shall have by the plan for what serves now.
func (m *machine) liveEntry() plans.Entry {
	if len(m.want.Routes) == 0 {
		return plans.Entry{}
	}
	cur := m.rec.Current
	t := *m.want
	if core, ok := m.coreOf(cur.Generation); ok {
		t.Core = core
	}
	slots := []plans.Slot{cur.Slot}
	for _, r := range m.rec.Entry.Routes {
		if _, has := r.Address[cur.Slot.Other()]; has {
			slots = append(slots, cur.Slot.Other())
			break
		}
	}
	return t.Entry(cur.Slot, slots, m.env.Port)
}

// newLive begins the attempt for live fields; nil if nothing has to move.
func (m *machine) newLive() *Attempt {
	entry := m.liveEntry()
	if sameEntry(entry, m.rec.Entry) {
		m.departs()
		m.rec.Target.Live = m.target.Live // read at next use
		return nil
	}
	a := m.newAttempt(KindLive, Update, m.target)
	a.New = *m.rec.Current.clone()
	a.New.Entry = entry
	return a
}

// reroute proves the new routes, with the compare-and-swap of a switch.
func (m *machine) reroute() bool {
	a := m.rec.Attempt
	a.New.Slot = m.rec.Current.Slot
	if a.New.Entry.Tenant == "" {
		if !m.unroute(Switch, "the plan has no routes for it any more") {
			return false
		}
	} else if !m.routeIs(a.New.Entry, false) {
		m.route(Switch, "live", a.New.Entry, nil, "the plan's routes changed")
		return false
	}
	m.rec.Entry = cloneEntry(a.New.Entry)
	text := " are as the plan says"
	if a.Op == Backward {
		text = " are as they were before"
	}
	m.event(TenantRerouted, "the routes of "+m.in.Name+text, "attempt", a.ID)
	return true
}

// liveBack sets the routes that were there before.
func (m *machine) liveBack() {
	if m.rec.Entry.Tenant == "" {
		if !m.unroute(Switch, "the attempt is undone") {
			return
		}
	} else if !m.routeIs(m.rec.Entry, false) {
		m.route(Switch, "back", m.rec.Entry, nil, "the attempt is undone")
		return
	}
	m.endAttempt()
}

// unroute proves that the router has nothing for the tenant.
func (m *machine) unroute(step Phase, why string) bool {
	if m.seen.Route.Entry.Tenant == "" {
		return true
	}
	m.act(step, "", Action{Verb: Unroute, Revision: m.seen.Route.Revision, Why: why})
	return false
}
