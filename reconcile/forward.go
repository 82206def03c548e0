package reconcile

import (
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// forward works on the first row that is not proved. Each row returns whether
// it is, having ordered what it needs if not; a row that fails turns the
// attempt back.
func (m *machine) forward() {
	for {
		a := m.rec.Attempt
		if t, why := m.hopeless(); why != "" && !a.Back {
			m.fail(why, &t.Problem)
		}
		if a.TakenBack != "" {
			m.turn(RolledBack, a.TakenBack, nil)
			a = m.rec.Attempt
		}
		if a.Back {
			m.goBack()
			return
		}
		accepted, phase := a.Accepted, a.Phase
		if !m.row() {
			if m.rec.Attempt == nil {
				return
			}
			if m.rec.Attempt != a || a.Back || a.Accepted != accepted || a.Phase != phase {
				continue // it turned, or another took its place: work on that
			}
			return
		}
		next, more := m.after(a.Phase)
		if !more {
			m.complete()
			return
		}
		m.enter(next)
		if next == Bake && m.overtaken() {
			m.turn(superseded, m.overtakenBy(), nil) // the plan wants what served before
		}
		if len(m.actions) == 0 && m.holds() {
			return // the row that was proved is a safe state
		}
	}
}

// row works on the phase at hand.
func (m *machine) row() bool {
	a := m.rec.Attempt
	if t := m.outage(); t != nil && t.Problem.Full && t.ofCopy() && !a.Switched {
		// Trying again here would fill the disk again, under what serves.
		m.cramp(t, false)
		m.turn(outaged, "the data found no room: "+sentence(t.Problem), cloneProblem(&t.Problem))
		return false
	}
	if h := m.window(); h != nil {
		late := !m.now.Before(h.undoAt())
		if t := m.outage(); t != nil && (late || t.ofCopy()) {
			// Nobody waits for a storage, or copies data twice, while requests wait.
			m.cramp(t, late)
			m.turn(outaged, "it could not go on while requests waited: "+sentence(t.Problem), cloneProblem(&t.Problem))
			return false
		}
		if late && (a.Phase == Quiesce || a.Phase == Prepare) {
			// The new version has not even begun.
			why := "the data did not change hands in time: requests may wait " + h.Limit.String() + ", less what undoing it needs"
			m.cramp(m.rec.Trouble, late)
			m.turn(outaged, why, &observed.Problem{Op: string(a.Phase), Ref: m.in.Name, Class: observed.Environment, Text: why})
			return false
		}
		if late {
			m.fail("the new version was not ready in time: requests may wait "+h.Limit.String()+
				", less what undoing it needs", nil)
			return false
		}
		m.wakeAt(h.undoAt())
	}
	switch a.Phase {
	case Preflight:
		return m.preflight() && m.clearSlot()
	case Quiesce:
		return m.quiesce()
	case Prepare:
		return m.prepare()
	case Launch:
		return m.launch()
	case Verify:
		if a.Kind == KindAside {
			return m.asideVerify()
		}
		return (a.Rehearsed || m.verify()) && m.rehearsed()
	case Switch:
		if a.Kind == KindLive {
			return m.reroute()
		}
		return m.switchOver()
	case Bake:
		return m.bake()
	case Drain:
		return a.TakenBack == "" && m.drain()
	}
	return true
}

// after returns the row that follows for the attempt's kind.
func (m *machine) after(p Phase) (next Phase, more bool) {
	a := m.rec.Attempt
	switch p {
	case Preflight:
		if m.rehearse() {
			a.Rehearsing = true
			return Prepare, true
		}
		if m.stopsFirst() && a.Kind != KindAside {
			return Quiesce, true
		}
		if a.Kind == KindAside {
			return Launch, true
		}
		return Prepare, true
	case Quiesce:
		return Prepare, true
	case Prepare:
		return Launch, true
	case Launch:
		return Verify, true
	case Verify:
		switch {
		case a.Rehearsing:
			a.Rehearsing = false
			return Quiesce, true
		case a.Kind == KindAside && a.To == "":
			return Idle, false
		case a.Kind == KindAside, a.Kind == KindIdle:
			m.event(TenantVerified, m.subject()+" is healthy in "+string(a.New.Slot), "slot", string(a.New.Slot), "attempt", a.ID)
			return Idle, false
		}
		m.event(TenantVerified, m.subject()+" is healthy in "+string(a.New.Slot),
			"slot", string(a.New.Slot), "generation", a.New.Generation, "attempt", a.ID)
		return Switch, true
	case Switch:
		if a.Kind == KindLive {
			return Idle, false
		}
		return Bake, true
	case Bake:
		return Drain, true
	}
	return Idle, false
}

// rehearse says that the new version is tried on a copy before requests wait.
func (m *machine) rehearse() bool {
	a := m.rec.Attempt
	if !m.quiesces() || a.Carry {
		return false
	}
	for _, v := range plans.Sorted(m.want.Volumes) {
		if v.Rehearse && v.OnUpgrade == plans.Clone {
			return true
		}
	}
	return false
}

// rehearsed proves that nothing of a rehearsal is left before the real thing.
func (m *machine) rehearsed() bool {
	a := m.rec.Attempt
	if !a.Rehearsing {
		return true
	}
	a.Rehearsed = true
	if !m.emptySlot(Verify, a.New.Slot, "the rehearsal is over") {
		return false
	}
	if !m.dropData(a.ID+"r", false) {
		return false
	}
	a.New.Data, a.Jobs, a.Rehearsed = nil, nil, false
	return true
}

// subject names what an attempt moves, for events.
func (m *machine) subject() string {
	if a := m.rec.Attempt; a.Kind == KindAside {
		return m.in.Name + "/" + a.Aside
	}
	return m.in.Name
}

// drain proves that no request is open on the old slot, or ends them when their
// time is over.
func (m *machine) drain() bool {
	a := m.rec.Attempt
	old := m.rec.Kept
	if old == nil || m.rec.Entry.Tenant == "" {
		return true
	}
	return m.drained(old.Slot, a)
}

func (m *machine) drained(slot plans.Slot, a *Attempt) bool {
	if r, ok := m.done[m.prefix()+"drain/cut/"+string(slot)]; ok {
		a.Cut += r.Cut
		return true
	}
	open := m.seen.Route.Slots[slot].InFlight
	if open == 0 {
		return true
	}
	if m.spentAt(m.seen.Router.At) >= m.drainLimit() {
		m.act(Drain, string(slot), Action{Verb: Cut, Slot: slot,
			Why: "the longest wait for open requests is over"})
		return false
	}
	m.poll(pollDrain)
	return false
}

// complete ends an attempt that reached its end.
func (m *machine) complete() {
	a := m.rec.Attempt
	m.rec.Trouble = nil
	switch a.Kind {
	case KindAside:
		m.completeAside()
	case KindIdle:
		m.rec.Idle = a.New.clone()
		m.rec.Idle.Baked = true
		if c := m.rec.Cramped; c != nil && !c.Late {
			m.rec.Outage, m.rec.Cramped = nil, nil // there was room
		}
		m.rec.Target.Idle = a.Target.Idle
	case KindLive:
		m.rec.Target.Live = a.Target.Live
		m.rec.Current.Entry = cloneEntry(a.New.Entry)
	case KindCore:
		m.completeCore()
	}
	m.rec.Attempt = nil
}

func (m *machine) completeCore() {
	a := m.rec.Attempt
	cur := m.rec.Current
	cur.Baked, m.rec.Outage, m.rec.Cramped = true, nil, nil
	m.rec.Target.Active, m.rec.Target.Core, m.rec.Target.Live = a.Target.Active, a.Target.Core, a.Target.Live
	if shared, ok := m.sharedParts(); ok {
		for _, p := range shared {
			m.adoptShared(p)
		}
	}
	beside := a.Op != Backward && !a.Reused && len(a.Restore) == 0
	for name, digest := range plans.Sorted(a.Shared) {
		beside = beside && m.rec.Shared[name] == digest
	}
	if beside { // it moved before, or came with it, also where the plan has moved on since
		m.rec.Target.Aside = a.Target.Aside
	}
	if k := m.rec.Kept; k != nil && m.want != nil && m.want.Idle != nil && k.Generation == m.target.Idle {
		m.rec.Idle, m.rec.Kept = k, nil // flipped: it goes on as the named idle slot
	} else if p := m.rec.Past; k != nil && p != nil && a.Undoes == p.To && p.Idle != nil && k.Slot == p.Idle.Slot && k.Generation == p.Idle.Generation {
		m.rec.Idle, m.rec.Kept = k, nil // flipped back
	}
	if m.rec.Kept != nil {
		soak := plans.Duration(0)
		if m.want != nil {
			soak = m.want.Soak.For
		}
		m.rec.KeptUntil = m.now.Add(soak.Std())
		m.event(TenantDrained, "no request is open on "+string(m.rec.Kept.Slot)+" any more",
			"slot", string(m.rec.Kept.Slot), "cut", itoa(a.Cut), "attempt", a.ID)
	}
}
