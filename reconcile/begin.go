package reconcile

import (
	"maps"

	"github.com/gitops-fleet/reconcile/plans"
)

// newAttempt makes the next attempt; it is not under way yet.
func (m *machine) newAttempt(kind Kind, op Op, target plans.Target) *Attempt {
	n := m.rec.Attempts + 1
	first := Preflight
	if kind == KindLive {
		first = Switch
	}
	return &Attempt{ID: attemptID(m.in.Name, n, target, m.now), Kind: kind, Op: op, Target: target,
		Phase: first, Since: m.now}
}

// coreMoves says that the plan's active core is not what serves.
func (m *machine) coreMoves() bool {
	cur := m.rec.Current
	return cur == nil || cur.Generation != m.target.Core ||
		m.target.Active != plans.NoSlot && m.target.Active != cur.Slot
}

// next returns the attempt that leads towards the plan's target; nil if it is
// reached. Whatever changes nothing here is taken over on the spot.
func (m *machine) next() *Attempt {
	if m.rec.Current != nil {
		if a := m.nextAside(); a != nil {
			return a
		}
	}
	if m.coreMoves() {
		return m.newCore()
	}
	m.rec.Target.Active, m.rec.Target.Core = m.target.Active, m.target.Core
	m.rec.Target.Aside = m.target.Aside
	if a := m.newIdle(); a != nil {
		return a
	}
	if m.rec.Target.Live != m.target.Live {
		if a := m.newLive(); a != nil {
			return a
		}
	}
	return nil
}

// newCore begins the attempt that makes the plan's core the one that serves.
func (m *machine) newCore() *Attempt {
	a := m.newAttempt(KindCore, m.coreOp(), m.target)
	a.Bake = m.want.Bake
	slot := m.target.Active
	if slot == plans.NoSlot {
		slot = plans.Blue
		if m.rec.Current != nil {
			slot = m.rec.Current.Slot.Other()
		}
	}
	a.Shared = m.firstShared()
	sidecars, _ := m.asides()
	a.New = Version{Target: m.target, Slot: slot, Generation: m.target.Core, Attempt: a.ID, Commit: m.env.Commit,
		Sidecars: sidecars, Inputs: maps.Clone(m.seen.Inputs), OnBack: onBack(m.want)}
	a.Exclusive = recreates(m.want) && m.rec.Current != nil
	there := m.rec.in(slot)
	switch {
	case a.Op == Backward && m.keepsData(m.rec.Kept):
		a.New = *m.rec.Kept.clone()
		a.New.Target, a.Reused = m.target, true
	case a.Op == Backward:
		a.Carry = true // on the data as they are now
	case a.Op == Flip && there != nil && !m.copiesData():
		a.New = *there.clone()
		a.New.Target, a.Reused = m.target, true
		a.New.Baked = false // it proved itself beside what served, and has not served
	}
	a.New.Entry = m.entryOf(slot)
	return a
}

// newBack is the plan's way back to the version that is kept, on its own data.
func (m *machine) newBack() *Attempt {
	a := m.newAttempt(KindCore, Backward, m.target)
	a.New = *m.rec.Kept.clone()
	a.New.Target, a.Reused = m.target, true
	a.New.Entry = m.entryOf(a.New.Slot)
	a.Exclusive = recreates(m.want)
	return a
}

// entryOf is the plan's entry for a slot that is to serve.
func (m *machine) entryOf(slot plans.Slot) plans.Entry {
	if len(m.want.Routes) == 0 {
		return plans.Entry{}
	}
	slots := []plans.Slot{slot}
	if m.rec.Current != nil {
		slots = append(slots, slot.Other())
	}
	return m.want.Entry(slot, slots, m.env.Port)
}

// keepsData says that the kept version may serve its own data again: nothing
// was written since that it would lose, or a person said to leave that behind.
func (m *machine) keepsData(kept *Version) bool {
	if !m.rec.Current.Wrote {
		return true
	}
	switch m.onBack() {
	case plans.Carry:
		return false
	case plans.Stay:
		return m.backAnswer() != plans.Carry
	}
	return true
}

// copiesData says that the plan clones a quiesced volume.
func (m *machine) copiesData() bool {
	for _, v := range plans.Sorted(m.want.Volumes) {
		if v.OnUpgrade == plans.Clone && v.Writes == plans.Quiesce {
			return true
		}
	}
	return false
}

// coreOp is the word for the change of the core.
func (m *machine) coreOp() Op {
	cur, kept := m.rec.Current, m.rec.Kept
	switch {
	case cur == nil:
		return Add
	case m.isBack(kept):
		return Backward
	case cur.Generation == m.target.Core, m.rec.Idle != nil && m.rec.Idle.Generation == m.target.Core && m.rec.Idle.Slot == m.target.Active:
		return Flip
	case recreates(m.want):
		return Again
	}
	return Replace
}

// isBack says that the plan asks for what served before: it ran here, passed
// its bake, and its spec and data are still on the host.
func (m *machine) isBack(kept *Version) bool {
	if kept == nil || !kept.Baked || kept.Generation != m.target.Core {
		return false
	}
	if m.target.Active != plans.NoSlot && m.target.Active != kept.Slot {
		return false
	}
	return !m.missingBack(kept)
}

// newIdle begins the attempt for the named idle slot; nil if it is as the plan
// says.
func (m *machine) newIdle() *Attempt {
	slot := m.rec.Current.Slot.Other()
	idle, kept := m.rec.Idle, m.rec.Kept
	switch {
	case m.target.Idle == "":
		if idle != nil {
			// The entry is gone: it is retired like a kept slot whose time is over.
			m.departs()
			m.rec.Kept, m.rec.KeptUntil, m.rec.Idle = idle, m.now, nil
			m.recast = true
		}
		m.rec.Target.Idle = ""
		return nil
	case idle != nil && idle.Generation == m.target.Idle:
		m.rec.Target.Idle = m.target.Idle
		return nil
	case kept != nil && kept.Generation == m.target.Idle && kept.Baked:
		m.rec.Idle, m.rec.Kept = kept, nil
		m.recast = true
		m.rec.Target.Idle = m.target.Idle
		return nil
	}
	a := m.newAttempt(KindIdle, Update, m.target)
	sidecars, _ := m.asides()
	a.New = Version{Target: m.target, Slot: slot, Generation: m.target.Idle, Attempt: a.ID, Commit: m.env.Commit,
		Sidecars: sidecars, Inputs: maps.Clone(m.seen.Inputs)}
	return a
}
