package reconcile

import (
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
)

// idleStays says that what ran in the named idle slot is still in a slot, or will
// be when the core is back.
func (m *machine) idleStays(i *Version) bool {
	v := m.rec.in(i.Slot)
	return v != nil && v.Generation == i.Generation
}

// idleBackwards puts the named idle slot as it was before; the attempt it needs
// for that, nil if none.
func (m *machine) idleBackwards(p *Past) *Attempt {
	if m.idleIsPast(p) {
		return nil
	}
	idle, kept := m.rec.Idle, m.rec.Kept
	switch {
	case p.Idle == nil:
		// It was not there: it is retired like a kept slot whose time is over.
		m.rec.Kept, m.rec.KeptUntil, m.rec.Idle = idle, m.now, nil
		return nil
	case idle == nil && kept != nil && kept.Slot == p.Idle.Slot && kept.Generation == p.Idle.Generation:
		m.rec.Idle, m.rec.Kept = kept, nil
		return nil
	}
	a := m.newAttempt(KindIdle, Backward, p.Target)
	was := p.Idle.clone()
	a.New = Version{Target: was.Target, Slot: was.Slot, Generation: was.Generation, Attempt: a.ID, Commit: was.Commit,
		Sidecars: was.Sidecars, Inputs: was.Inputs}
	return a
}

// asideBackwards is the attempt for the first service beside the core that is not
// as it was before, the one that moved last before the others; nil if all are.
func (m *machine) asideBackwards(p *Past) *Attempt {
	for _, set := range []struct {
		slot    plans.Slot
		is, was map[string]string
	}{{m.rec.Current.Slot, m.rec.Current.Sidecars, p.Sidecars}, {plans.Shared, m.rec.Shared, p.Shared}} {
		for _, gone := range []bool{true, false} { // nextAside takes away last
			names := set.was
			if !gone {
				names = set.is
			}
			for _, name := range slices.Backward(sortedNames(names)) {
				from, to := set.is[name], set.was[name]
				if from == to || gone != (from == "") {
					continue
				}
				a := m.newAttempt(KindAside, Backward, p.Target)
				a.Aside, a.From, a.To = name, from, to
				a.New = Version{Target: p.Target, Slot: set.slot, Attempt: a.ID, Commit: m.env.Commit}
				return a
			}
		}
	}
	return nil
}

func sortedNames(set map[string]string) (names []string) {
	for name := range plans.Sorted(set) {
		names = append(names, name)
	}
	return names
}
