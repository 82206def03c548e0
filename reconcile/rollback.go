package reconcile

import (
	"cmp"

	"github.com/gitops-fleet/reconcile/plans"
)

// rollBack takes a person's word on this host: the tenant leaves the plan's
// target for what it served before, and the target is withheld. An attempt
// under way is undone; a finished one is left for the version that is kept.
func (m *machine) rollBack() {
	a := m.rec.Attempt
	if a != nil && (a.Target != m.target || a.Back) {
		m.noWayBack("nothing is there that could be taken back now")
		return
	}
	by := "a person on this host took it back"
	if a != nil {
		a.TakenBack = by // the word is given once, and may have to wait for another
	}
	if why := m.takeBack(by, ""); why != "" {
		m.noWayBack(why)
		if a != nil {
			a.TakenBack = ""
		}
	}
}

// takeBack begins the way back to what the tenant was before the plan's target,
// which must be the generation from if one is named, and says why there is none.
func (m *machine) takeBack(by, from string) (why string) {
	a, kept, p := m.rec.Attempt, m.rec.Kept, m.past()
	switch {
	case a != nil && a.Target == m.target && !a.Back && m.before() == nil && a.Ordered:
		return nothingBefore
	case a != nil && a.Target == m.target && !a.Back:
		m.turn(RolledBack, by, nil)
		return ""
	case a != nil:
		return "" // once it is over
	case m.want == nil || m.rec.Current == nil:
		return "nothing is there that could be taken back now"
	case p == nil && from != "" && m.rec.Target != m.target && m.rec.Current.Generation == from:
		m.withholdBack(by) // it never began to move
		return ""
	case p == nil:
		if why := m.notKept(from); why != "" {
			return why
		}
		return m.leave(kept, by, false)
	case from != "" && p.Generation != from:
		return "the version it came from is not the one on record"
	}
	if why := cmp.Or(m.oneWay(), m.barred(p)); why != "" {
		return why
	}
	p.Stuck = ""
	m.withholdBack(by)
	return m.backwards(p, by, false)
}

// notKept says why the version that is kept is no way back of its own, where
// nothing more is on record of what the tenant was before.
func (m *machine) notKept(from string) (why string) {
	kept := m.rec.Kept
	switch {
	case kept == nil || !kept.Baked:
		return "no version is kept for the way back"
	case from != "" && kept.Generation != from:
		return "the version it came from is not the one that is kept"
	case m.rec.Target == m.target && (kept.Target.Aside != m.target.Aside || kept.Target.Idle != m.target.Idle):
		return "what ran beside the version it came from is not on record"
	}
	return ""
}

func (m *machine) withholdBack(by string) {
	m.rec.withhold(Withheld{Target: m.target, Reason: RolledBack, Why: by, Since: m.now, Attempt: m.rec.Current.Attempt})
}

// leave begins the way back to a version that is still in its slot, and says why
// it cannot: on its own data, where nothing is lost or discard is meant, else on
// the data as they are now.
func (m *machine) leave(v *Version, by string, discard bool) (why string) {
	if len(v.Data) > 0 && m.seen.Storage.Blind() {
		return "the data of " + short(v.Generation) + " cannot be seen now; say it again when they can"
	}
	if m.missingBack(v) {
		return "the spec or the data of " + short(v.Generation) + " are not here any more"
	}
	target, p := v.Target, m.past()
	whole := p != nil && v.Slot == p.Slot && v.Generation == p.Generation
	if whole {
		target = p.Target
	}
	word := m.onBackTo(v)
	carries := m.rec.Current.Wrote && word != "" && word != plans.Discard && !discard
	switch {
	case target != m.target && (m.rec.withheld(m.target) == nil || discard):
		m.withholdBack(by)
	case target == m.target && carries:
		return "only its data would go back, and what was written since would be left behind"
	}
	if p != nil && !whole {
		m.rec.Past = nil // a person's word on the data leads further back than that
	}
	n := m.newAttempt(KindCore, Backward, target)
	n.New, n.Reused = *v.clone(), true
	n.New.Target = target
	if carries {
		n.carry(v, word)
	}
	n.Exclusive = m.want != nil && recreates(m.want)
	return m.sets(n, by)
}

func (m *machine) noWayBack(why string) {
	m.event(TenantFailed, m.in.Name+" is not taken back: "+why)
}

// missingBack says that what a way back needs is not on this host any more.
func (m *machine) missingBack(kept *Version) bool {
	if _, ok := m.parts(kept); !ok {
		return true
	}
	for _, id := range plans.Sorted(kept.Data) {
		if m.dataset(id) == nil {
			return true
		}
	}
	return false
}

// carry makes an attempt bring an old generation to the data as they are now,
// as a new version in the old one's slot. onBack is the word on writes to them.
func (a *Attempt) carry(old *Version, onBack string) {
	a.Carry, a.Reused = true, false
	a.New = Version{Target: old.Target, Slot: old.Slot, Generation: old.Generation, Attempt: a.ID, Commit: old.Commit,
		Sidecars: old.clone().Sidecars, OnBack: onBack, Entry: cloneEntry(old.Entry)}
}
