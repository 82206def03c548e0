package reconcile

// BackID is what an answer of RollbackMoved to takes the rollout back at any
// time, though nothing asks it: before a breaker tripped, and after the rollout
// was closed, as long as the plan wants what it brought.
func (r *Rollout) BackID() string { return r.ID + ".back-" + digest(8, r.ID, r.Number) }

// takenBack takes a person's word that the rollout under way goes back.
func (d *decision) takenBack() bool {
	id := d.run.BackID()
	if d.answers[id] != RollbackMoved {
		return false
	}
	d.all.delta.Taken = append(d.all.delta.Taken, id)
	d.decided(RollbackMoved, "a person's word")
	return true
}

// reopens takes the same word on the rollout that was closed last.
func (d *decision) reopens() bool {
	n := len(d.closed) - 1
	if n < 0 || d.answers[d.closed[n].BackID()] != RollbackMoved || d.goneFrom(d.closed[n]) != "" {
		return false
	}
	d.run, d.closed = d.closed[n], d.closed[:n]
	return d.takenBack()
}

// goneFrom says why a closed rollout cannot be taken back, "" if it can.
func (l *lane) goneFrom(a *active) string {
	switch {
	case a.Phase == RolloutRolledBack:
		return "it was taken back already"
	case a.To != l.release:
		return "the plan wants another release by now"
	}
	for _, m := range a.members {
		if l.seat(m) != nil && m.moved() {
			return ""
		}
	}
	return "it moved nobody, or nobody it moved is where it was moved to"
}

// moved says that the member runs what the rollout brought.
func (m *RolloutMember) moved() bool {
	return m.Class == ClassUpgraded || m.Class == ClassMoving || m.Class == ClassFailed && !m.Restored
}

// CannotGoBack says why an answer to a rollout's BackID would do nothing, "" if
// it would take the rollout back.
func (r *Rollouts) CannotGoBack(id string) string {
	l, a := r.find(id)
	switch {
	case a == nil:
		return "no rollout has this id"
	case a == l.run && a.Phase == RolloutRollingBack:
		return "it goes back already"
	case a == l.run:
		return ""
	case l.run != nil:
		return "rollout " + l.run.ID + " is under way over the same tenants: take that one back"
	case a != l.closed[len(l.closed)-1]:
		return "another rollout over the same tenants came after it: " + l.closed[len(l.closed)-1].ID
	}
	return l.goneFrom(a)
}
