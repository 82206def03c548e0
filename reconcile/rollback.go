package reconcile

import "github.com/gitops-fleet/reconcile/plans"

// rollBack takes a person's word on this host: the tenant leaves the plan's
// target for what it served before, and the target is withheld. An attempt
// under way is undone; a finished one is left for the version that is kept.
func (m *machine) rollBack() {
	a := m.rec.Attempt
	if a != nil && (a.Target != m.target || a.Back) {
		m.noWayBack("nothing is there that could be taken back now")
		return
	}
	if why := m.takeBack("a person on this host took it back", ""); why != "" {
		m.noWayBack(why)
	}
}

// takeBack begins the way back to what is kept, which must be the generation
// from if one is named, and says why there is none.
func (m *machine) takeBack(by, from string) (why string) {
	a, kept := m.rec.Attempt, m.rec.Kept
	switch {
	case a != nil && a.Target == m.target && !a.Back && m.before() == nil && a.Ordered:
		return "nothing served before what serves now"
	case a != nil && a.Target == m.target && !a.Back:
		m.turn(RolledBack, by, nil)
		return ""
	case a != nil:
		return "" // once it is over
	case m.want == nil || m.rec.Current == nil:
		return "nothing is there that could be taken back now"
	case kept == nil || !kept.Baked:
		return "no version is kept for the way back"
	case from != "" && kept.Generation != from:
		return "the version it came from is not the one that is kept"
	}
	return m.leave(kept, by, false)
}

// leave begins the way back to the version that is kept, and says why it cannot:
// on its own data, where nothing is lost or discard is meant, else on the data
// as they are now.
func (m *machine) leave(kept *Version, by string, discard bool) (why string) {
	if len(kept.Data) > 0 && m.seen.Storage.Blind() {
		return "the data of " + short(kept.Generation) + " cannot be seen now; say it again when they can"
	}
	if m.missingBack(kept) {
		return "the spec or the data of " + short(kept.Generation) + " are not here any more"
	}
	m.rec.withhold(Withheld{Target: m.target, Reason: RolledBack, Why: by, Since: m.now, Attempt: m.rec.Current.Attempt})
	n := m.newAttempt(KindCore, Backward, kept.Target)
	n.New, n.Reused = *kept.clone(), true
	if m.rec.Current.Wrote && m.onBack() != "" && m.onBack() != plans.Discard && !discard {
		n.carry(kept)
	}
	n.Exclusive = m.want != nil && recreates(m.want)
	m.rec.Attempts++
	m.rec.Attempt, m.rec.Trouble = n, nil
	m.event(TenantStarted, m.in.Name+" moves to "+m.moveText(n)+": "+by, "op", string(n.Op), "attempt", n.ID,
		"slot", string(n.New.Slot), "generation", n.New.Generation)
	return ""
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
// as a new version in the old one's slot.
func (a *Attempt) carry(old *Version) {
	a.Carry, a.Reused = true, false
	a.New = Version{Target: old.Target, Slot: old.Slot, Generation: old.Generation, Attempt: a.ID, Commit: old.Commit,
		Sidecars: old.clone().Sidecars, Entry: cloneEntry(old.Entry)}
}
