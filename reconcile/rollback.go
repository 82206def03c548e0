package reconcile

import "github.com/gitops-fleet/reconcile/plans"

// rollBack takes a person's word on this host: the tenant leaves the plan's
// target for what it served before, and the target is withheld. An attempt
// under way is undone; a finished one is left for the version that is kept.
func (m *machine) rollBack() {
	const why = "a person on this host took it back"
	a, kept := m.rec.Attempt, m.rec.Kept
	switch {
	case a != nil && a.Target == m.target && !a.Back:
		m.turn(RolledBack, why, nil)
	case a != nil || m.want == nil || m.rec.Current == nil:
		m.noWayBack("nothing is there that could be taken back now")
	case kept == nil || !kept.Baked:
		m.noWayBack("no version is kept for the way back")
	case m.missingBack(kept):
		m.noWayBack("the spec or the data of " + short(kept.Generation) + " are not here any more")
	default:
		m.rec.withhold(Withheld{Target: m.target, Reason: RolledBack, Why: why, Since: m.now, Attempt: m.rec.Current.Attempt})
		n := m.newAttempt(KindCore, Backward, kept.Target)
		n.New, n.Reused = *kept.clone(), true
		if m.rec.Current.Wrote && m.onBack() != "" && m.onBack() != plans.Discard {
			n.carry(kept)
		}
		n.Exclusive = m.want != nil && recreates(m.want)
		m.rec.Attempts++
		m.rec.Attempt, m.rec.Trouble = n, nil
		m.event(TenantStarted, m.in.Name+" moves to "+m.moveText(n)+": "+why, "op", string(n.Op), "attempt", n.ID,
			"slot", string(n.New.Slot), "generation", n.New.Generation)
	}
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
