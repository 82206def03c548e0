package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Past is what a tenant was, whole, before it began to move to To: where it goes
// back to when To fails there or is taken back. A target may move several things,
// one attempt after the other; only all of them together are a way back.
type Past struct {
	To plans.Target `json:"to"`
	// Target and Release were last reached whole before.
	Target  plans.Target `json:"target"`
	Release string       `json:"release,omitempty"`
	// Generation served in Slot, with its Sidecars, beside the tenant-scoped
	// services Shared, by Entry.
	Slot       plans.Slot        `json:"slot"`
	Generation string            `json:"generation"`
	Sidecars   map[string]string `json:"sidecars,omitempty"`
	Shared     map[string]string `json:"shared,omitempty"`
	Entry      plans.Entry       `json:"entry,omitzero"`
	// Idle ran in the named idle slot.
	Idle *Version `json:"idle,omitempty"`
	// Until is how long it is kept once To is reached, if its rollout is closed by
	// then; zero: To is not reached.
	Until time.Time `json:"until,omitzero"`
	// Stuck says why the way back was given up, half way or before it began.
	Stuck string `json:"stuck,omitempty"`
}

func (p *Past) clone() *Past {
	if p == nil {
		return nil
	}
	c := *p
	c.Sidecars, c.Shared = maps.Clone(p.Sidecars), maps.Clone(p.Shared)
	c.Entry, c.Idle = cloneEntry(p.Entry), p.Idle.clone()
	return &c
}

// departs notes what the tenant is before it begins to move to the plan's target.
// One that was half way to something else goes back to where it was whole.
func (m *machine) departs() {
	cur, p := m.rec.Current, m.rec.Past
	switch {
	case cur == nil:
		m.rec.Past = nil // nothing is there to go back to
	case p != nil && m.rec.Target == p.Target && cur.Slot == p.Slot && cur.Generation == p.Generation:
		p.To, p.Until, p.Stuck = m.target, time.Time{}, ""
	case p != nil && p.To == m.target && m.rec.Target != m.target:
		p.Until, p.Stuck = time.Time{}, ""
	default:
		m.rec.Past = &Past{To: m.target, Target: m.rec.Target, Release: m.rec.Release, Slot: cur.Slot,
			Generation: cur.Generation, Sidecars: maps.Clone(cur.Sidecars), Shared: maps.Clone(m.rec.Shared),
			Entry: cloneEntry(m.rec.Entry), Idle: m.rec.Idle.clone()}
	}
}

// past is what the plan's target was begun from, nil if that is not on record.
func (m *machine) past() *Past {
	if p := m.rec.Past; p != nil && m.want != nil && p.To == m.target {
		return p
	}
	return nil
}

// forgetPast lets go of what is kept of the past when its time is over, like the
// slot that is kept for the way back.
func (m *machine) forgetPast() {
	p := m.rec.Past
	switch {
	case p == nil || m.rec.Target != p.To || m.want == nil:
		return
	case p.Until.IsZero():
		p.Until = m.now.Add(m.want.Soak.For.Std())
	}
	switch {
	case m.now.Before(p.Until):
		m.wakeAt(p.Until)
	case !m.in.Permit.Open && m.rec.withheld(p.To) == nil:
		m.rec.Past = nil
	}
}

// reached says that the plan's target is reached, and that no way back from it
// has left a part of it behind.
func (m *machine) reached() bool {
	if m.rec.Target != m.target || m.past() == nil || m.rec.withheld(m.target) == nil {
		return m.rec.Target == m.target
	}
	idle := m.target.Idle == "" && m.rec.Idle == nil || m.rec.Idle != nil && m.rec.Idle.Generation == m.target.Idle
	return !m.coreMoves() && m.nextAside() == nil && idle && sameEntry(m.liveEntry(), m.rec.Entry)
}

// returnDue says that the tenant is on its way back from the plan's target: it
// failed here, or was taken back, and not all is as it was before.
func (m *machine) returnDue() bool {
	p, w := m.past(), m.rec.withheld(m.target)
	if p == nil || w == nil || p.Stuck != "" || m.rec.Target == m.target && w.Reason != RolledBack {
		return false
	}
	return m.rec.Attempt != nil || !m.isPast(p)
}

// isPast says that all is as it was before.
func (m *machine) isPast(p *Past) bool {
	cur := m.rec.Current
	return cur != nil && cur.Slot == p.Slot && cur.Generation == p.Generation && maps.Equal(cur.Sidecars, p.Sidecars) &&
		maps.Equal(m.rec.Shared, p.Shared) && m.sameRoutes(p.Entry) && m.idleIsPast(p)
}

// sameRoutes says that requests are led as an entry says, whatever other slots it
// has addresses of.
func (m *machine) sameRoutes(e plans.Entry) bool {
	return sameEntry(alone(e, m.rec.Current.Slot), alone(m.rec.Entry, m.rec.Current.Slot))
}

// alone is an entry with the addresses of one slot.
func alone(e plans.Entry, slot plans.Slot) plans.Entry {
	e.Routes = slices.Clone(e.Routes)
	for i, r := range e.Routes {
		e.Routes[i].Address = nil
		if at, has := r.Address[slot]; has {
			e.Routes[i].Address = map[plans.Slot]string{slot: at}
		}
	}
	return e
}

func (m *machine) idleIsPast(p *Past) bool {
	idle := m.rec.Idle
	if p.Idle == nil || idle == nil {
		return p.Idle == nil && idle == nil
	}
	return idle.Slot == p.Idle.Slot && idle.Generation == p.Idle.Generation
}

// returning begins the next attempt of the way back, and says whether one is under
// way. When all is as it was before, the record says so.
func (m *machine) returning() bool {
	p := m.past()
	if p == nil || p.Stuck != "" {
		return false
	}
	w := m.rec.withheld(m.target)
	switch {
	case w == nil, m.rec.Target == m.target && w.Reason != RolledBack, m.unowned():
		return false
	case m.waitsOut("it goes back when that is over"):
		return true
	}
	if why := m.backwards(p, w.Why, w.Reason != RolledBack); why != "" {
		p.Stuck = why
		m.event(TenantFailed, m.in.Name+" does not go back whole: "+why, "why", why)
		return false
	}
	if m.rec.Attempt == nil {
		return false
	}
	m.forward()
	m.settle()
	return true
}

// backwards begins the next attempt of the way back, in the opposite order of the
// way there: services upgraded alone move before the core, so they go back after
// it, and the core that comes back meets them as it left them. The new core never
// runs beside the old ones, which nobody ever tried. It says why there is no such
// attempt; where nothing is left to do none begins. byItself says that nobody
// asked for it.
func (m *machine) backwards(p *Past, by string, byItself bool) (why string) {
	if why := m.barred(p); why != "" {
		return why
	}
	cur := m.rec.Current
	if cur.Slot != p.Slot || cur.Generation != p.Generation {
		v := m.rec.in(p.Slot)
		if byItself && cur.Wrote {
			if word := m.onBackTo(v); word != "" && word != plans.Discard {
				return "going back to " + short(p.Generation) + " would leave writes behind, which is for a person to say"
			}
		}
		return m.leave(v, by, false)
	}
	if !m.sameRoutes(p.Entry) {
		a := m.newAttempt(KindLive, Backward, p.Target)
		a.New = *cur.clone()
		a.New.Entry = m.pastEntry(p)
		return m.sets(a, by)
	}
	if a := m.idleBackwards(p); a != nil {
		return m.sets(a, by)
	}
	if a := m.asideBackwards(p); a != nil {
		return m.sets(a, by)
	}
	m.rec.free(p.Target) // it may have failed on an earlier way back
	m.rec.Target, m.rec.Release, m.rec.Past = p.Target, p.Release, nil
	return ""
}

// sets puts an attempt of the way back under way.
func (m *machine) sets(a *Attempt, by string) (why string) {
	a.Undoes = m.target
	m.rec.Attempts++
	m.rec.Attempt, m.rec.Trouble = a, nil
	m.event(TenantStarted, m.subject()+" moves to "+m.moveText(a)+": "+by, "op", string(a.Op), "attempt", a.ID,
		"slot", string(a.New.Slot), "generation", a.New.Generation)
	return ""
}

// barred says why not all can be as it was before, "" if it can: what that needs
// must still be on this host before anything of it begins.
func (m *machine) barred(p *Past) string {
	cur := m.rec.Current
	if cur.Slot != p.Slot || cur.Generation != p.Generation {
		switch v := m.rec.in(p.Slot); {
		case v == nil || !v.Baked:
			return "no version is kept for the way back"
		case v.Generation != p.Generation || v.Entry.Tenant == "" && m.rec.Entry.Tenant != "":
			return "the version it came from is not the one that is kept"
		case len(v.Data) > 0 && m.seen.Storage.Blind():
			return "the data of " + short(v.Generation) + " cannot be seen now; say it again when they can"
		case m.missingBack(v):
			return "the spec or the data of " + short(v.Generation) + " are not here any more"
		}
	}
	if i := p.Idle; i != nil && !m.idleStays(i) {
		switch _, known := m.coreOf(i.Generation); {
		case !known:
			return "the spec of " + short(i.Generation) + " is not here any more"
		case !maps.Equal(i.Data, cur.Data):
			return "what ran in " + string(i.Slot) + " had data of its own, which are given up"
		case m.want.Retire == "decision" && m.rec.Kept != nil:
			return "slot " + string(i.Slot) + " keeps " + short(m.rec.Kept.Generation) + ", which only a decision gives up"
		}
	}
	for _, set := range []struct{ was, is map[string]string }{{p.Shared, m.rec.Shared}, {p.Sidecars, cur.Sidecars}} {
		for name, digest := range plans.Sorted(set.was) {
			if set.is[name] == digest {
				continue
			}
			if _, known := m.serviceOf(name, digest); !known {
				return "the spec of " + name + " " + short(digest) + " is not here any more"
			}
		}
	}
	return ""
}

// oneWay says why the tenant could not leave the plan's target for what it came
// from, "" if it could, or has nothing to leave.
func (m *machine) oneWay() string {
	a, p := m.rec.Attempt, m.past()
	switch {
	case m.want == nil || m.rec.Current == nil || m.seen.Storage.Blind() && m.needsStorage():
		return ""
	case a != nil && a.Target == m.target && !a.Back:
		if m.before() == nil && a.Ordered {
			return nothingBefore
		}
		return ""
	case a != nil || m.rec.Target != m.target && m.rec.withheld(m.target) == nil:
		return ""
	case p == nil && m.rec.Target == m.target:
		return m.notKept("")
	case p == nil:
		return ""
	case m.rec.Target == m.target && m.isPast(p):
		return "nothing that runs was changed, only how it is judged; a commit takes that back"
	}
	return m.barred(p)
}

const nothingBefore = "nothing served before what serves now"

// pastEntry is the entry of the past with the addresses of the slots that are in
// the table now.
func (m *machine) pastEntry(p *Past) plans.Entry {
	slot := m.rec.Current.Slot
	for _, r := range m.rec.Entry.Routes {
		if _, has := r.Address[slot.Other()]; has {
			return cloneEntry(p.Entry)
		}
	}
	return alone(p.Entry, slot)
}
