package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// retireDue retires the kept slot when its soak is over, the rollout it belongs
// to is closed, and nobody has to decide about it.
func (m *machine) retireDue() {
	switch {
	case m.now.Before(m.rec.KeptUntil), m.in.Permit.Open, m.in.Want == nil, m.env.Empty, m.env.OtherController != "":
		return
	case m.want != nil && m.want.Retire == "decision" && m.retireAnswer() != "retire":
		return
	}
	slot := m.rec.Kept.Slot
	if m.retire(Retire) {
		m.event(TenantRetired, "the old version in "+string(slot)+" is gone", "slot", string(slot))
		m.rec.Kept, m.rec.KeptUntil = nil, time.Time{}
	}
}

// retireAnswer asks whether the way back may go.
func (m *machine) retireAnswer() string {
	k := m.rec.Kept
	return m.ask("retire", "the way back of "+m.in.Name+" to "+short(k.Generation)+" in "+string(k.Slot)+" is kept until somebody decides",
		map[string]string{"retire": "remove the old version and the way back to it"}, k.Generation, k.Attempt)
}

// keptForDecision says that a change needs the slot that only a decision frees.
func (m *machine) keptForDecision(a *Attempt) bool {
	k := m.rec.Kept
	if k == nil || a.Reused || a.Kind == KindAside || a.Kind == KindLive || a.New.Slot != k.Slot || m.want.Retire != "decision" {
		return false
	}
	if m.retireAnswer() == "retire" {
		return false
	}
	m.say(Waiting, "", "waits to move to "+targetText(m.target)+": its slot "+string(k.Slot)+" keeps the way back to "+
		short(k.Generation)+", which only a decision gives up", "waits for the answer to the question")
	return true
}

// clearSlot empties the slot an attempt needs: a kept version there is retired
// early, which gives up the way back to it.
func (m *machine) clearSlot() bool {
	a := m.rec.Attempt
	if a.Reused || a.Cleared || a.Kind == KindAside || a.Kind == KindLive {
		return true
	}
	if m.rec.Current == nil && !m.unroute(Preflight, "the routes lead to nothing that is known") || !m.restorable() {
		return false
	}
	switch {
	case m.rec.Kept != nil && m.rec.Kept.Slot == a.New.Slot:
		if !m.retire(Retire) {
			return false
		}
		if !a.Carry {
			m.event(TenantRetired, "gives up the way back to "+short(m.rec.Kept.Generation)+" for "+short(a.New.Generation),
				"slot", string(a.New.Slot), "attempt", a.ID)
		}
		m.rec.Kept, m.rec.KeptUntil = nil, time.Time{}
	case m.rec.Idle != nil && m.rec.Idle.Slot == a.New.Slot:
		if !m.emptySlot(Retire, a.New.Slot, "its place is needed") || !m.dropOwn(m.rec.Idle) {
			return false
		}
		m.rec.Idle = nil
	default:
		if !m.emptySlot(Retire, a.New.Slot, "its place is needed") {
			return false
		}
	}
	a.Cleared = true
	return true
}

// retire makes the active data stand alone, then takes the kept slot away: its
// address, its instances, and at last its data from sight.
func (m *machine) retire(step Phase) bool {
	k, cur := m.rec.Kept, m.rec.Current
	for _, id := range plans.Sorted(cur.Data) {
		d := m.dataset(id)
		if d == nil {
			return false
		}
		if d.Origin != "" && !m.sharesData(k, id) {
			m.act(step, id, Action{Verb: Promote, Dataset: id, Slot: cur.Slot,
				Why: "the clone is the data now: it must not depend on what goes"})
			return false
		}
	}
	if !m.forgetAddress(step, k.Slot) {
		return false
	}
	if !m.emptySlot(step, k.Slot, "its soak is over or its place is needed") {
		return false
	}
	return m.dropOwn(k)
}

func (m *machine) sharesData(v *Version, id string) bool {
	for _, other := range plans.Sorted(v.Data) {
		if other == id {
			return true
		}
	}
	return false
}

// forgetAddress takes a slot's addresses out of the table, so that no address
// of another tenant can ever stand there.
func (m *machine) forgetAddress(step Phase, slot plans.Slot) bool {
	e := cloneEntry(m.rec.Entry)
	changed := false
	for i, r := range e.Routes {
		if _, has := r.Address[slot]; !has || e.Slot == slot {
			continue
		}
		if !changed {
			e.Routes, changed = slices.Clone(e.Routes), true
		}
		r.Address = maps.Clone(r.Address)
		delete(r.Address, slot)
		e.Routes[i] = r
	}
	if changed {
		m.rec.Entry = e
		m.rec.Current.Entry = cloneEntry(e)
	}
	if e.Tenant == "" || m.routeIs(e, false) {
		return true
	}
	m.route(step, "forget", e, nil, "the old slot's addresses leave the table")
	return false
}

// forgets says that the table still has the addresses of the kept slot that the
// record gave up already, and differs in nothing else.
func (m *machine) forgets() bool {
	cur, seen, want := m.rec.Current, m.seen.Route.Entry, m.rec.Entry
	if m.rec.Kept == nil || cur == nil || seen.Hold != nil && !m.seen.Route.Expired || !sameEntry(alone(want, cur.Slot), want) {
		return false
	}
	return sameEntry(alone(seen, cur.Slot), want)
}

// dropOwn gives up the datasets only this version uses; they stay for their
// retention. It returns whether all of them are seen given up.
func (m *machine) dropOwn(v *Version) bool {
	all := true
	for _, id := range plans.Sorted(v.Data) {
		d := m.dataset(id)
		if d == nil || m.inUse(id, v) {
			continue
		}
		if d.Role == observed.Rehearsal {
			if m.destroy(Retire, d, "a rehearsal's copy is of no further use") {
				all = false
			}
			continue
		}
		if d.Role != observed.Discarded {
			all = false
			m.act(Retire, id, Action{Verb: SetRole, Dataset: id, Role: observed.Discarded, Slot: d.Slot,
				Why: "the version that used it is gone"})
			continue
		}
		m.discard(id)
	}
	return all
}

// discard starts the retention of a dataset that was given up.
func (m *machine) discard(id string) {
	if _, known := m.rec.Discards[id]; !known {
		m.discardNow(id)
	}
}

// discardNow starts it with the order to give the dataset up, whatever comes before
// that is seen. While it is seen live it is not given up yet: an order that came to
// nothing takes no time from it.
func (m *machine) discardNow(id string) {
	if m.rec.Discards == nil {
		m.rec.Discards = map[string]time.Time{}
	}
	m.rec.Discards[id] = m.now
}

// inUse says that a version other than v uses a dataset.
func (m *machine) inUse(id string, v *Version) bool {
	for _, o := range []*Version{m.rec.Current, m.rec.Kept, m.rec.Idle} {
		if o != nil && o != v && m.sharesData(o, id) {
			return true
		}
	}
	for _, d := range plans.Sorted(m.rec.Data) {
		if d.Dataset == id {
			return true // also of a volume the plan has no more: nobody said to drop it
		}
	}
	return false
}

// dropData takes away the datasets an attempt made. What was written to is
// given up for its retention, the rest destroyed: clones before their origin.
func (m *machine) dropData(mark string, wrote bool) bool {
	for _, role := range []observed.Role{observed.Rehearsal, observed.Live, observed.Origin} {
		waits := false
		for i := range m.seen.Datasets {
			d := &m.seen.Datasets[i]
			if d.Attempt != mark || d.Role != role || m.attemptKeeps(d.ID) {
				continue
			}
			switch {
			case role == observed.Live && d.Imported:
				continue // a person had it before: the next attempt finds it again
			case role == observed.Origin && (len(d.Clones) > 0 || m.isOrigin(d.ID)):
				continue // a discarded clone needs it; swept later
			case role == observed.Live && wrote:
				m.act(Switch, d.ID, Action{Verb: SetRole, Dataset: d.ID, Role: observed.Discarded, Slot: d.Slot,
					Why: "what was written to it is kept aside"})
				m.discardNow(d.ID)
			case m.letGo(Switch, d):
			case !m.destroy(Switch, d, "made for a version that does not serve"):
				continue // it cannot go now, and holds nothing up; swept later
			}
			waits = true
		}
		if waits {
			return false
		}
	}
	return true
}

// attemptKeeps says that a dataset is used by what serves after the attempt.
func (m *machine) attemptKeeps(id string) bool {
	a := m.rec.Attempt
	for _, v := range []*Version{m.rec.Current, m.rec.Kept, m.rec.Idle} {
		if v == nil || a.Swapped && v == m.rec.Current {
			continue
		}
		if m.sharesData(v, id) {
			return true
		}
	}
	return false
}

func (m *machine) isOrigin(id string) bool {
	for i := range m.seen.Datasets {
		if m.seen.Datasets[i].Origin == id {
			return true
		}
	}
	return false
}
