package reconcile

import (
	"maps"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// switchOver makes the routes exactly the new slot's by a compare-and-swap on
// the revision that was seen, and has a marked request confirm it. A hold stays
// until then and is released by a further set.
func (m *machine) switchOver() bool {
	a := m.rec.Attempt
	if a.New.Entry.Tenant == "" {
		m.swap()
		return true
	}
	held := a.Hold != nil
	if !a.Switched && !m.ready() {
		return false
	}
	if !m.routeIs(a.New.Entry, held) {
		if m.route(Switch, "switch", a.New.Entry, a.Hold, "the new version is proved: lead the requests to it") {
			a.Ordered = true
		}
		return false
	}
	if !a.Switched {
		a.Switched = true
		a.New.Since = m.now
	}
	if _, ok := m.done[m.prefix()+"switch/confirm"]; !ok && !a.Swapped {
		e := cloneEntry(a.New.Entry)
		m.act(Switch, "", Action{Verb: Confirm, Slot: a.New.Slot, Entry: &e,
			Why: "a marked request must be answered by the new slot"})
		return false
	}
	if !a.Swapped {
		m.swap()
	}
	if held {
		m.route(Switch, "release", a.New.Entry, nil, "release the requests that wait, to the new slot")
		a.Hold = nil
		return false
	}
	return true
}

// noteLed takes in that a switch took effect which nobody saw do so: its reply was
// lost, or what happened next came first. Requests that waited are then released by
// the data plane at its limit, and what the new version was written from there on is
// left by no way back but that of a version that serves.
func (m *machine) noteLed() {
	a := m.rec.Attempt
	if a == nil || !a.Ordered || a.Swapped || a.Restored || m.seen.Router.Blind() || m.seen.Route.Held || m.routed() != a.New.Slot {
		return
	}
	switch {
	case a.Hold != nil && a.Back && m.seen.Runtime.Blind():
		return
	case a.Hold != nil && a.Back && !m.runsAnything(a.New.Slot):
		a.Switched = true // it was stopped under the hold: it is led back, and nobody writes meanwhile
		return
	case a.Hold != nil:
		a.Hold = nil
		a.Back, a.Reason, a.Why, a.Problem = false, "", "", nil // it was undone in time, or not at all
		m.swap()
	case a.Back || a.Switched:
		return
	default:
		a.Switched, a.New.Since = true, m.now
	}
	if a.Phase != Switch {
		m.enter(Switch)
	}
}

// ready is the guard of every switch: all that serves in the slot is healthy in
// these very facts.
func (m *machine) ready() bool {
	a := m.rec.Attempt
	parts, ok := m.parts(&a.New)
	if !ok || m.seen.Runtime.Blind() || m.seen.Router.Blind() {
		return false
	}
	for _, p := range runs(parts, false) {
		if m.healthOf(p) != healthy {
			trouble := m.rec.Trouble
			m.enter(Verify)
			m.rec.Trouble = trouble // falling back overcomes nothing
			m.poll(pollHealth)
			return false
		}
	}
	for name, id := range plans.Sorted(a.New.Data) {
		if m.dataset(id) == nil {
			m.lostData(name, id)
			return false
		}
		if !m.routable(name, id) {
			m.fail("the data of volume "+name+" are not those of this attempt's final snapshot", nil)
			return false
		}
	}
	return true
}

// routable says that a dataset may serve: it is live, whole, and where the
// volume is cloned, a clone of this attempt's final snapshot.
func (m *machine) routable(volume, id string) bool {
	a, d := m.rec.Attempt, m.dataset(id)
	if d == nil || !d.Ready || d.Role != observed.Live {
		return false
	}
	if a.Restore[volume] != "" {
		from := m.restoreOf(volume)
		return d.Attempt == a.ID && from != nil && d.Origin == from.ID
	}
	if a.Op == Backward && !a.Stopped || m.rec.Current == nil || m.want == nil || m.want.Volumes[volume].OnUpgrade != plans.Clone {
		return true
	}
	if a.Reused || m.rec.Data[volume].Dataset == "" {
		return true
	}
	snap := m.datasetOf(volume, a.ID, observed.Origin)
	return d.Attempt == a.ID && snap != nil && d.Origin == snap.ID
}

// swap makes the new version the current one.
func (m *machine) swap() {
	a := m.rec.Attempt
	old := m.rec.Current
	a.Switched, a.Swapped = true, true
	a.New.Since, a.New.Wrote = m.now, m.uncounted(&a.New, a.New.Settled)
	m.rec.Current, m.rec.RepairTrouble = a.New.clone(), nil // what was wrong with the old one is over
	m.rec.Entry = cloneEntry(a.New.Entry)
	if m.rec.Kept != nil && m.rec.Kept.Slot == a.New.Slot {
		m.rec.Kept = nil
	}
	if m.rec.Idle != nil && m.rec.Idle.Slot == a.New.Slot {
		m.rec.Idle = nil
	}
	m.rec.Kept, m.rec.KeptUntil = old, time.Time{}
	m.keepData()
	from := ""
	if old != nil {
		from = string(old.Slot)
	}
	m.event(TenantSwitched, m.in.Name+" is served by "+string(a.New.Slot)+" ("+short(a.New.Generation)+")",
		"slot", string(a.New.Slot), "from", from, "generation", a.New.Generation, "attempt", a.ID)
}

// uncounted says that a version may be written to where no router counts it: it has
// no routes, or a service of it is reached past them (a published port) or fetches
// its work itself (whenRouted), and may hand it on to one that writes. With active,
// what runs in the routed slot only runs, too.
func (m *machine) uncounted(v *Version, active bool) bool {
	parts, known := m.parts(v)
	past, writes := v.Entry.Tenant == "" || !known, !known
	for _, p := range runs(parts, active) {
		past = past || len(p.svc.Publish) > 0 || p.svc.WhenRouted()
		for _, mount := range plans.Sorted(p.svc.Mounts) {
			writes = writes || !mount.ReadOnly
		}
	}
	return past && writes && len(v.Data) > 0
}

// keepData notes which datasets the current version uses.
func (m *machine) keepData() { m.keepDataOf(m.rec.Current) }

func (m *machine) keepDataOf(v *Version) {
	for name, id := range plans.Sorted(v.Data) {
		d := m.rec.Data[name]
		d.Dataset = id
		if m.want != nil {
			if v, ok := m.want.Volumes[name]; ok {
				d.Driver, d.Source, d.Volatile = v.Driver, v.Source, v.Volatile
			}
		}
		if m.rec.Data == nil {
			m.rec.Data = map[string]Data{}
		}
		m.rec.Data[name] = d
	}
}

// route orders an entry with the revision that was seen.
func (m *machine) route(step Phase, subject string, e plans.Entry, hold *HoldWindow, why string) bool {
	e = cloneEntry(e)
	if hold != nil {
		e.Hold = &plans.Hold{ID: hold.ID, Limit: hold.Limit}
	}
	return m.act(step, subject, Action{Verb: Route, Slot: e.Slot, Entry: &e,
		Revision: m.seen.Route.Revision, Why: why})
}

// routeIs says that the router has exactly this entry, held or not.
func (m *machine) routeIs(e plans.Entry, held bool) bool {
	seen := m.seen.Route.Entry
	has := seen.Hold != nil
	if has && m.seen.Route.Expired && !held {
		has = false // it releases by itself; the mark left behind means nothing
	}
	seen.Hold, e.Hold = nil, nil
	if held && !has {
		return false
	}
	return has == held && sameEntry(seen, e)
}

// sameEntry compares what two entries do.
func sameEntry(a, b plans.Entry) bool {
	if a.Tenant != b.Tenant || a.Slot != b.Slot || len(a.Routes) != len(b.Routes) {
		return false
	}
	for i := range a.Routes {
		if !sameRoute(a.Routes[i], b.Routes[i]) {
			return false
		}
	}
	return true
}

func sameRoute(a, b plans.EntryRoute) bool {
	return a.Host == b.Host && a.Path == b.Path && a.Service == b.Service && maps.Equal(a.Address, b.Address)
}
