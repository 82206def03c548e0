package reconcile

import (
	"slices"

	"cmp"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Step decides for one tenant. It is total: every input has a decision. The
// same input and memory give the same decision, and the memory that is returned
// shares nothing with the one that was handed in.
func Step(in Input, rec Record) (Decision, Record) {
	m := begin(in, rec)
	m.look()
	m.decide()
	return m.finish()
}

// look notes what only a series of looks can tell: starts, first writes, and
// what the plan says now.
func (m *machine) look() {
	m.countStarts()
	m.noteLed()
	m.noteOnBack()
	if cur := m.rec.Current; cur != nil && m.seen.Route.Slots[cur.Slot].Writes > 0 && m.routed() == cur.Slot {
		cur.Wrote = true
	}
	if cur := m.rec.Current; cur != nil {
		for _, i := range m.inSlot(cur.Slot) {
			cur.Runtime = cmp.Or(i.Runtime, cur.Runtime)
		}
	}
	if a := m.rec.Attempt; a != nil && a.Kind == KindCore && (a.Switched && m.seen.Route.Slots[a.New.Slot].Writes > 0 || m.wroteEarly()) {
		a.Wrote = true
	}
	if m.want != nil && m.rec.Wanted != m.target {
		m.rec.Wanted = m.target
		m.calm()
		if m.rec.Target != m.target {
			m.event(TenantPlanned, m.in.Name+" shall be "+targetText(m.target), "op", string(m.op()), "generation", m.target.Core)
		}
	}
	if m.in.Retry {
		m.retry()
	}
	if m.in.Local == GoBack {
		m.rollBack()
	}
	if m.in.Data != nil {
		m.askRestore(*m.in.Data)
	}
	m.obey()
}

// wroteEarly says that a new version may have been written to before its switch: what
// no router leads to is reached once it runs.
func (m *machine) wroteEarly() bool {
	a := m.rec.Attempt
	if a.Wrote || a.Swapped || a.Rehearsing || !m.uncounted(&a.New, false) {
		return false
	}
	return slices.ContainsFunc(m.inSlot(a.New.Slot), func(i *observed.Instance) bool {
		return i.Attempt == a.ID && !i.Job && !i.Started.IsZero()
	})
}

// retry takes a person's word that the target may be tried again.
func (m *machine) retry() {
	m.calm()
	m.rec.free(m.target)
	m.rec.Outage, m.rec.Cramped = nil, nil
	for _, t := range []*Trouble{m.rec.Trouble, m.rec.RepairTrouble} {
		if t != nil {
			t.Next, t.Tries = m.now, 0
		}
	}
}

// decide is one switch; its order is its meaning.
func (m *machine) decide() {
	blind := m.blind()
	switch {
	case m.absent():
		m.nothing()
		return
	case blind != nil && m.inWindow():
		m.blindInWindow(blind)
		return
	case blind != nil:
		m.waitForSight(blind)
		return
	}
	m.adopt()
	if m.holds() {
		return
	}
	switch {
	case m.removes():
		m.removing()
	case m.rec.Attempt != nil && m.rec.Attempt.Back:
		m.forward() // to the end of the way back
		m.settle()
	case m.rec.Attempt != nil:
		m.inMotion()
		m.settle()
	default:
		m.steady()
	}
}

// inMotion finishes or undoes an attempt the plan has left behind, and else
// goes on with it. What serves meanwhile is repaired first.
func (m *machine) inMotion() {
	a := m.rec.Attempt
	if a.Switched && !a.Back && a.New.Entry.Tenant != "" && m.routed() != a.New.Slot {
		// Somebody led it elsewhere after we had switched: prove again, if it is
		// wanted still.
		a.Switched = false
	}
	if m.overtaken() {
		m.turn(superseded, m.overtakenBy(), nil)
	}
	m.longOutage()
	if a.Kind != KindLive && !a.Back && !a.Ordered && !a.Switched && a.Hold == nil && m.rec.Current != nil && !m.reroutes() {
		return
	}
	if !a.Back && (!a.Stopped || a.Swapped) {
		m.tune()
	}
	if cur := m.rec.Current; cur != nil && !a.Back && !a.Stopped && !a.Swapped {
		if shared, ok := m.shared(); ok {
			m.careFor(cur, a.others(shared))
		}
		if parts, ok := m.parts(cur); ok {
			if a.Kind != KindAside {
				m.policies()
			}
			m.careFor(cur, a.others(runs(parts, cur.Settled)))
		}
	}
	if len(m.actions) > 0 {
		return // repair first
	}
	m.forward()
}

// others are the parts that the attempt does not replace where they are.
func (a *Attempt) others(parts []part) []part {
	if a.Kind != KindAside {
		return parts
	}
	return slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.name == a.Aside })
}

// settle goes on with the care for a tenant whose attempt has just ended.
func (m *machine) settle() {
	switch {
	case m.rec.Attempt != nil || len(m.actions) > 0 || m.holds():
	case m.absent():
		m.nothing()
	default:
		m.steady()
	}
}

// overtaken says that an attempt leads where the plan no longer wants to go and
// that undoing it costs less than finishing it: before the switch, or when the
// plan wants what served before.
func (m *machine) overtaken() bool {
	a := m.rec.Attempt
	if len(a.Restore) > 0 && m.want != nil {
		return false // a person's word on the data: the plan follows it
	}
	if a.Op == Backward && a.Target != m.target && m.rec.withheld(m.target) != nil {
		return false // it brings back what served; the plan's word is withheld
	}
	switch {
	case m.want != nil && a.Target == m.target:
		return false
	case m.want != nil && m.sameMove(a):
		if p := m.rec.Past; p != nil && p.To == a.Target {
			p.To = m.target // it is the way back from that, too
		}
		a.Target, a.New.Target = m.target, m.target
		return false
	case !a.Switched && (a.New.Entry.Tenant == "" || a.Kind == KindCore && !a.Ordered || m.routed() != a.New.Slot):
		return true
	}
	if k := m.rec.Kept; m.want == nil || k == nil || !a.Swapped || k.Generation != m.target.Core {
		return false
	} else if k.Generation == a.New.Generation {
		return m.target.Active == k.Slot // both run it: the slot the plan names decides
	}
	return true
}

// sameMove says that the new target asks the very same of this attempt.
func (m *machine) sameMove(a *Attempt) bool {
	was, is := a.Target, m.target
	switch a.Kind {
	case KindCore:
		slots := is.Active == plans.NoSlot || is.Active == a.New.Slot
		return was.Core == is.Core && was.Aside == is.Aside && was.Live == is.Live && slots
	case KindIdle:
		return was.Idle == is.Idle && was.Core == is.Core && was.Active == is.Active
	case KindAside:
		return was.Aside == is.Aside
	}
	return was.Live == is.Live && was.Core == is.Core
}

func (m *machine) overtakenBy() string {
	if m.want == nil {
		return "the plan does not name " + m.in.Name + " any more"
	}
	return "the plan moved on to " + targetText(m.target)
}

// absent says that there is nothing to decide about.
func (m *machine) absent() bool {
	r := &m.rec
	return m.want == nil && r.Current == nil && r.Attempt == nil && r.Removal == nil && len(r.Data) == 0 &&
		!m.discards() && len(m.seen.Instances) == 0 && m.seen.Route.Entry.Tenant == ""
}

// discards says that data that were given up are still there, or may be.
func (m *machine) discards() bool {
	for _, id := range sortedKeys(m.rec.Discards) {
		if m.seen.Storage.Blind() || m.dataset(id) != nil {
			return true
		}
	}
	return false
}

// nothing reports a tenant that is neither in the plan nor on the host. Once all of
// the host was seen, our memory of it is dropped, too.
func (m *machine) nothing() {
	m.sayNothing()
	if !m.unowned() && !m.seen.Storage.Blind() {
		m.endDoomed(Retire)
	}
	s, r := m.seen, &m.rec
	named := r.Wanted != plans.Target{} || r.Retention != plans.Retention{} // by a plan, once
	if (named || r.Attempts > 0) && m.in.Want == nil && len(s.Datasets)+len(m.doomed) == 0 && !s.Runtime.Blind() && !s.Router.Blind() && !s.Storage.Blind() {
		m.forget("neither the plan nor the host has anything of it")
	}
}

func (m *machine) sayNothing() {
	m.say(Converged, "", "nothing of it is here, as the plan says", "")
	m.report.Done = true
}

// forget drops what is remembered of a tenant that is gone.
func (m *machine) forget(why string) {
	if _, ok := m.done[m.prefix()+"removing/forget"]; ok {
		m.rec = Record{Clock: m.rec.Clock}
		m.sayNothing()
		return
	}
	m.act(Removing, "", Action{Verb: Forget, Why: why})
}

// steady is the care for a tenant nothing of which is in motion: repair, what
// changes in place, then what the plan wants, then what is due.
func (m *machine) steady() {
	quiet := m.repair()
	m.tune()
	if m.unowned() && m.rec.Current != nil {
		m.putAdopt() // served and repaired; what is there is not ours to retire either
		return
	}
	switch {
	case !m.helpless() && (!quiet || len(m.actions) > 0):
		return
	case slices.ContainsFunc(m.actions, func(a Action) bool { return a.Step != Repair }):
		return // what is tried again meanwhile keeps no other version waiting
	case m.in.Over != nil && m.in.Want != nil && m.in.Want.Removed:
		m.sayOverBudget()
		m.due()
	case m.in.Want == nil:
		m.vanished()
		m.due()
	case m.returning():
	case m.blocked():
		m.due()
	case m.restoring():
	case m.onward():
	default:
		m.due()
	}
}

// onward begins the next attempt where one is wanted and may begin.
func (m *machine) onward() bool {
	if w := m.rec.withheld(m.target); w != nil && !m.reached() {
		if !m.retryAnswer(w) {
			m.saySo(w)
			return false
		}
		m.retry()
	}
	a := m.next()
	if a == nil {
		if m.rec.Target != m.target {
			m.rec.Target = m.target
		}
		if m.recast {
			m.recast = false
			m.steady()
			return true
		}
		return false
	}
	if m.stopped(a) {
		return false
	}
	m.departs()
	m.rec.Attempts++
	m.rec.Attempt, m.rec.Trouble = a, nil
	m.event(TenantStarted, m.subject()+" moves to "+m.moveText(a), "op", string(a.Op), "attempt", a.ID,
		"slot", string(a.New.Slot), "generation", a.New.Generation)
	m.forward()
	m.settle()
	return true
}

// stopped says why an attempt may not begin now.
func (m *machine) stopped(a *Attempt) bool {
	switch {
	case m.unowned():
		m.askAdopt()
		return true
	case m.tooLate(a):
		return true
	case m.waitsOut("nobody's release is to blame"):
		return true
	case a.Op == Backward:
		return m.asksBack() // a way back needs nobody's leave
	case !m.in.Permit.Go || m.in.Permit.Target != m.target:
		why := m.in.Permit.Why
		if why == "" {
			why = "it is not its turn yet"
		}
		m.say(Waiting, "", "waits to move to "+targetText(m.target)+": "+why, "moves when the rollout lets it")
		return true
	case m.keptForDecision(a):
		return true
	}
	return false
}

// moveText says what an attempt leads to.
func (m *machine) moveText(a *Attempt) string {
	switch {
	case a.Kind == KindAside && a.To == "":
		return "being without it"
	case a.Kind == KindAside:
		return short(a.To)
	case a.Kind == KindLive && a.Op == Backward:
		return "the routes it had"
	case a.Kind == KindLive:
		return "the plan's routes"
	}
	return short(a.New.Generation) + " in " + string(a.New.Slot)
}

func targetText(t plans.Target) string {
	if t.Active == plans.NoSlot {
		return short(t.Core)
	}
	return short(t.Core) + " in " + string(t.Active)
}
