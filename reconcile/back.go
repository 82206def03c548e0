package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// fail turns the attempt back because its target is no good here.
func (m *machine) fail(why string, p *observed.Problem) { m.turn(Failed, why, p) }

// failInstance fails it with what one instance last answered and said.
func (m *machine) failInstance(p part, why string) {
	if i := m.instance(p); i != nil && i.Health.Last != "" && !strings.Contains(why, i.Health.Last) {
		why += "; its last answer: " + i.Health.Last
	}
	problem := &observed.Problem{Op: "verify", Ref: p.key.String(), Class: observed.Refused, Text: why}
	if i := m.instance(p); i != nil && i.Health.Err != nil {
		problem.Log = i.Health.Err.Log
	}
	if i := m.instance(p); i != nil && i.Log != "" {
		problem.Log = i.Log
	}
	m.turn(Failed, why, problem)
}

// turn sets the direction to back, where that loses nothing or a person accepts
// the loss.
func (m *machine) turn(reason, why string, p *observed.Problem) {
	a := m.rec.Attempt
	if a.Back {
		return
	}
	if a.Swapped && m.rec.Kept != nil && !m.wayBackFree() && !m.mayGoBack(why) {
		return
	}
	a.Back, a.Reason, a.Why, a.Problem = true, reason, why, cloneProblem(p)
	a.Since, a.Spent = m.now, 0
	m.rec.Trouble = nil
	if reason == superseded {
		return
	}
	fields := []string{"phase", string(a.Phase), "attempt", a.ID, "slot", string(a.New.Slot), "why", why}
	if p != nil {
		fields = append(fields, "hint", p.Hint, "log", p.Log, "class", string(p.Class))
	}
	m.event(TenantFailed, m.subject()+": "+why, fields...)
}

// outaged is the reason of an attempt that is undone because something it needs
// is down or full; nobody's release is to blame, and it is tried again.
const outaged = "environment"

// blameless says that the attempt's target is not withheld for its end.
func (a *Attempt) blameless() bool {
	return a.Reason == superseded || a.Reason == outaged || a.ofData()
}

// ofData says that a person moves the data by it, back to a snapshot or back from
// there, and its target has nothing to prove.
func (a *Attempt) ofData() bool { return len(a.Restore) > 0 || a.Undoes == a.Target }

// superseded is the reason of an attempt that is undone because the plan moved
// on; its target is not withheld.
const superseded = "superseded"

// mayGoBack deals with writes that going back would lose.
func (m *machine) mayGoBack(why string) bool {
	a := m.rec.Attempt
	word, fails := m.onBack(), "fails"
	if a.TakenBack != "" {
		fails = "is taken back"
	}
	if word == plans.Stay {
		left, told := m.leftBehind()
		if !told {
			a.Failing = true
			return false // asked once the cost is known
		}
		word = m.ask("back", "the new version of "+m.in.Name+" "+fails+" ("+why+") and "+m.wrote()+"; going back to "+
			short(m.rec.Kept.Generation)+" would leave behind "+left,
			map[string]string{
				plans.Stay:    "the new version keeps serving as it is",
				plans.Discard: "serve the old version on the old data; " + left + ", is kept aside",
				plans.Carry:   "serve the old version on the new data, by a second switch with a hold",
			}, a.ID)
	}
	switch word {
	case plans.Stay:
		a.Accepted, a.Failing, a.TakenBack = true, false, ""
	case plans.Discard:
		return true
	case plans.Carry:
		m.carry(why)
	default:
		a.Failing = true
		m.say(Degraded, Failed, "the new version "+fails+" and cannot be left without losing writes: "+why,
			"waits for the answer to the question")
		m.poll(pollBlind)
	}
	return false
}

// carry ends the failed attempt and begins one that brings the old generation
// to the new data.
func (m *machine) carry(why string) {
	a, old := m.rec.Attempt, m.rec.Kept
	if !a.ofData() {
		m.rec.withhold(Withheld{Target: a.Target, Reason: Failed, Why: why, Since: m.now, Attempt: a.ID})
	}
	m.event(TenantFailed, m.in.Name+": "+why, "attempt", a.ID, "why", why, "way", "carry")
	m.rec.Attempt = nil
	n := m.newAttempt(KindCore, Backward, old.Target)
	n.carry(old, m.onBack())
	if !a.ofData() {
		n.Undoes = a.Target
	}
	n.Exclusive = a.Exclusive
	m.rec.Attempts++
	m.rec.Attempt = n
}

// goBack undoes the attempt, and repairs what serves beside that. The undoing comes
// first in a step: what fails of it has a pause, in which repairs go on.
func (m *machine) goBack() {
	a := m.rec.Attempt
	if m.undo(); m.rec.Attempt != a || m.before() == nil || !m.rec.Holding.IsZero() || a.hasSlot() && !a.Restored {
		return // where it is not restored yet, the undoing itself starts the old version
	}
	old := m.before()
	if shared, ok := m.shared(); ok {
		m.careFor(old, m.unordered(a.others(shared)))
	}
	if parts, ok := m.parts(old); ok {
		m.careFor(old, m.unordered(a.others(runs(parts, old.Settled))))
	}
}

// unordered are the parts that the step does not start yet.
func (m *machine) unordered(parts []part) []part {
	return slices.DeleteFunc(slices.Clone(parts), func(p part) bool {
		return slices.ContainsFunc(m.actions, func(a Action) bool { return a.Verb == Start && a.Key == p.key })
	})
}

// undo brings back what served before, then takes away what was made for the new
// version.
func (m *machine) undo() {
	a := m.rec.Attempt
	switch a.Kind {
	case KindAside:
		m.asideBack()
		return
	case KindLive:
		m.liveBack()
		return
	}
	thawed := m.thaw()
	if a.Restored && (a.New.Entry.Tenant != "" || m.rec.Entry.Tenant != "") && m.routed() == a.New.Slot {
		a.Restored = false // a switch that was given up came late, or somebody's edit
	}
	if !a.Restored {
		if !m.restore() {
			return
		}
		a.Restored = true
		a.Since, a.Spent = m.now, 0
	}
	if a.Switched {
		m.policies()
	}
	if len(m.actions) == 0 && m.holds() {
		return // what served serves again: a person's hold comes first
	}
	if m.rec.Entry.Tenant != "" && !m.drained(a.New.Slot, a) {
		return
	}
	if !thawed || !m.clearNew() {
		return
	}
	m.endBack()
}

// before is the version that served before the attempt, nil for a first one.
func (m *machine) before() *Version {
	if m.rec.Attempt.Swapped {
		return m.rec.Kept
	}
	return m.rec.Current
}

// restore proves that the old version serves: it runs, the routes lead to it,
// and no hold of ours is on.
func (m *machine) restore() bool {
	a, old := m.rec.Attempt, m.before()
	if a.Kind == KindIdle {
		return m.untouched()
	}
	if old == nil {
		return m.unroute(Launch, "the first version did not prove itself: nothing serves")
	}
	if !a.Stopped && !a.Switched && a.Hold == nil && (old.Entry.Tenant == "" || m.routed() != a.New.Slot) {
		return true
	}
	parts, ok := m.parts(old)
	if !ok {
		m.specLost(short(old.Generation) + " of " + m.in.Name)
		return false
	}
	if a.Exclusive && !m.makeWay() {
		return false
	}
	up, well := m.revive(old, parts)
	entry := old.Entry
	if !a.Swapped && m.rec.Entry.Tenant != "" {
		entry = m.rec.Entry
	}
	if entry.Tenant == "" {
		return up
	}
	if m.routeIs(entry, false) {
		a.Hold = nil
		if !a.Switched || m.confirmed(entry) {
			return true
		}
		return false
	}
	late := a.Hold != nil && !m.now.Add(time.Second).Before(a.Hold.end())
	switch {
	case well, up && late:
		m.route(Switch, "back", entry, nil, "requests go to the version that served before")
	default:
		m.slowRestore(old, parts)
		if a.Hold != nil && !late {
			m.wakeAt(a.Hold.end().Add(-time.Second))
		}
		m.poll(pollHeld)
	}
	return false
}

// specLost asks where what served before cannot be made again.
func (m *machine) specLost(what string) {
	a := m.rec.Attempt
	if m.ask("spec", "the spec of "+what+" is not known any more, so it cannot be restored",
		map[string]string{plans.Stay: "leave things as they are"}, a.ID) == plans.Stay {
		m.giveUp()
		return
	}
	m.say(HeldBack, a.Reason, "it cannot go back: the spec of "+what+" is not known any more", "waits for the answer to the question")
	m.poll(pollBlind)
}

// makeWay proves that the new version is down before the old one starts again,
// where the two must never run together. Where it has the routes, requests wait
// meanwhile.
func (m *machine) makeWay() bool {
	a := m.rec.Attempt
	down := true
	for _, i := range m.inSlot(a.New.Slot) {
		down = down && i.Phase == observed.Exited && !i.Restarting
	}
	if down {
		return true
	}
	if m.routed() == a.New.Slot {
		if a.Hold == nil || !m.held() && !m.now.Before(a.Hold.end()) {
			// What the data plane released by itself serves again, and is not
			// stopped under its requests: they wait anew.
			a.Hold = m.newHold()
		}
		if !m.held() {
			if !m.ordered(m.seen.Route.Entry) {
				m.route(Switch, "hold", m.seen.Route.Entry, a.Hold, "let requests wait while the old version comes back")
			}
			m.poll(pollHeld)
			return false
		}
	}
	parts, _ := m.parts(&a.New)
	for _, p := range slices.Backward(parts) {
		if i := m.instance(p); i != nil && (i.Phase != observed.Exited || i.Restarting) {
			m.stop(Switch, p, "it must not run beside the version that comes back")
		}
	}
	m.poll(pollHeld)
	return false
}

// untouched proves what serves beside an idle slot that is undone: nothing of it
// was touched by us, but a person may have led the requests elsewhere.
func (m *machine) untouched() bool {
	a, cur := m.rec.Attempt, m.rec.Current
	if parts, ok := m.parts(cur); ok {
		m.careFor(cur, runs(parts, cur.Settled))
	}
	return m.reroutes() && len(m.actions) == 0 && (m.rec.Entry.Tenant == "" || m.routed() != a.New.Slot)
}

// slowRestore asks when the old version does not come back either: a way back
// that fails is not gone back from, and what serves keeps serving.
func (m *machine) slowRestore(old *Version, parts []part) {
	a := m.rec.Attempt
	var within time.Duration
	for _, p := range runs(parts, false) {
		within = max(within, p.svc.Health.Effective().Within.Std())
	}
	if m.spentAt(m.seen.Runtime.At) < within {
		return
	}
	answer := m.ask("restore", "the old version "+short(old.Generation)+" of "+m.in.Name+" did not become healthy either; "+
		string(m.routed())+" still has the routes",
		map[string]string{"wait": "keep trying to bring the old version back", "proceed": "lead the requests to the old version as it is"}, a.ID)
	if answer == "proceed" {
		m.route(Switch, "back", old.Entry, nil, "a person said to serve the old version as it is")
	}
}

// revive starts what has to run of the old version; it returns whether all of
// it is up, and whether all of it is healthy.
func (m *machine) revive(old *Version, parts []part) (up, well bool) {
	up, well = true, true
	for _, p := range runs(parts, old.Settled) {
		i := m.instance(p)
		if i == nil || i.Phase == observed.Exited && !i.Restarting {
			up, well = false, false
			if i != nil && m.resting(p) && m.rec.Attempt.Hold == nil {
				continue
			}
			if err := m.start(Switch, old, p, old.Attempt, "the version that served before has to run again"); err != nil {
				m.event(TenantUnknown, err.Error())
			}
			continue
		}
		if i.Phase != observed.Running {
			up = false
		}
		if !p.svc.WhenRouted() && m.healthOf(p) != healthy {
			well = false
		}
	}
	return up, well
}

// confirmed says that a marked request was answered as the entry says.
func (m *machine) confirmed(e plans.Entry) bool {
	if _, ok := m.done[m.prefix()+"switch/confirm/back"]; ok {
		return true
	}
	c := cloneEntry(e)
	m.act(Switch, "back", Action{Verb: Confirm, Slot: e.Slot, Entry: &c,
		Why: "a marked request must be answered by the slot that served before"})
	return false
}

// clearNew takes away what the attempt made.
func (m *machine) clearNew() bool {
	a := m.rec.Attempt
	if a.Reused {
		return true // it was there before; steady care puts it as it was
	}
	// Before the slot was cleared for it the attempt made nothing in it.
	if a.Cleared && !m.emptySlot(Switch, a.New.Slot, "the attempt is undone") {
		return false
	}
	if m.before() == nil && !m.emptyShared() {
		return false
	}
	return m.dropData(a.ID+"r", false) && m.dropData(a.ID, a.Wrote || m.rec.Current != nil && a.Swapped && m.rec.Current.Wrote)
}

// emptySlot proves that nothing of ours is in a slot.
func (m *machine) emptySlot(step Phase, slot plans.Slot, why string) bool {
	in := m.inSlot(slot)
	for _, i := range slices.Backward(in) {
		if i.Phase != observed.Exited && m.spared(slot) {
			return false
		}
		m.remove(step, i.Key, why)
	}
	return len(in) == 0
}

// emptyShared removes tenant-scoped services that only this attempt has.
func (m *machine) emptyShared() bool {
	gone := true
	for _, i := range m.inSlot(plans.Shared) {
		if _, kept := m.rec.Shared[i.Service]; !kept {
			gone = false
			m.remove(Switch, i.Key, "the attempt is undone")
		}
	}
	return gone
}

// endBack ends an attempt that was undone.
func (m *machine) endBack() {
	a := m.rec.Attempt
	old := m.before()
	if a.Swapped {
		m.rec.Current, m.rec.Kept, m.rec.KeptUntil = old, nil, time.Time{}
		m.rec.Entry = plans.Entry{}
		if old != nil {
			m.rec.Entry = cloneEntry(old.Entry)
			old.Since = m.now
			m.keepData()
		}
		if a.Reused {
			kept := a.New.clone()
			m.rec.Kept, m.rec.KeptUntil = kept, m.now
		}
	}
	if m.rec.Current == nil {
		m.rec.Entry, m.rec.Data = plans.Entry{}, nil
	}
	m.endAttempt()
}

// endAttempt says what serves and gives the attempt up.
func (m *machine) endAttempt() {
	a := m.rec.Attempt
	text := m.in.Name + " is as it was before"
	if m.rec.Current != nil {
		text = m.in.Name + " is served by " + string(m.rec.Current.Slot) + " (" + short(m.rec.Current.Generation) + ") as before"
	}
	m.event(TenantRestored, text, "attempt", a.ID, "reason", a.Reason, "cut", itoa(a.Cut))
	m.giveUp()
}

// giveUp forgets an attempt that went back and withholds its target.
func (m *machine) giveUp() {
	a := m.rec.Attempt
	if a.Reason == outaged && a.Problem != nil {
		m.rec.Outage = m.rec.Outage.again(*cloneProblem(a.Problem), m.now)
	}
	if !a.blameless() {
		m.rec.withhold(Withheld{Target: a.Target, Reason: a.Reason, Why: a.Why, Since: m.now,
			Attempt: a.ID, Problem: cloneProblem(a.Problem)})
	}
	if p := m.rec.Past; p != nil && a.Undoes == p.To && !a.blameless() {
		p.Stuck = a.Why // a way back that fails is not gone on with by itself
	} else if w := m.rec.withheld(m.rec.Target); p == nil && a.Op == Backward && w != nil && w.Reason == RolledBack {
		m.rec.free(m.rec.Target) // a person's word came to nothing: it runs that still
	}
	m.rec.Attempt, m.rec.Trouble = nil, nil
}
