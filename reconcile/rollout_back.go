package reconcile

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// BackID is what an answer of RollbackMoved to takes the rollout back at any
// time, though nothing asks it: before a breaker tripped, and after the rollout
// was closed, as long as the plan wants what it brought.
func (r *Rollout) BackID() string { return r.ID + ".back-" + digest(8, r.ID, r.Number) }

// takenBack takes a person's word that the rollout under way goes back.
func (d *decision) takenBack() bool {
	if d.run.back == "" {
		d.run.back = d.run.BackID() // asked for with every decision
	}
	id := d.run.back
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
	case a.Phase == RolloutPartlyBack:
		return "it was taken back already, as far as it could be; a commit takes back the rest"
	case a.To != l.release:
		return "the plan wants another release by now"
	}
	why := "it moved nobody, or nobody it moved is where it was moved to"
	for _, m := range a.members {
		if l.seat(m) == nil || !m.moved() {
			continue
		}
		no := l.oneWay(m)
		if no == "" {
			return ""
		}
		why = "nobody it moved has a way back, like " + m.Tenant + ": " + no
	}
	return why
}

// oneWay says why a member that was moved cannot be taken back to what it came
// from, "" where it can, or has not said.
func (l *lane) oneWay(m *RolloutMember) string {
	switch s := l.seat(m); {
	case m.From.Zero():
		return "it ran nothing before"
	case s == nil:
		return "the plan wants something else of it since"
	case s.spoke():
		return s.report.OneWay
	}
	return ""
}

// movedOnes are the members that run what the rollout brought; of those, stay have
// no way back. Those that left the rollout come last there: that is known.
func (l *lane) movedOnes(a *active) (all, stay []*RolloutMember) {
	var left []*RolloutMember
	for _, m := range a.members {
		if !m.moved() {
			continue
		}
		all = append(all, m)
		switch {
		case l.oneWay(m) == "":
		case l.seat(m) == nil:
			left = append(left, m)
		default:
			stay = append(stay, m)
		}
	}
	return all, append(stay, left...)
}

// told says that all of them have said whether they have a way back: after a
// restart of ours they have not.
func (l *lane) told(members []*RolloutMember) bool {
	for _, m := range members {
		if s := l.seat(m); s != nil && !s.spoke() {
			return false
		}
	}
	return true
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

// rollBack sends every tenant the rollout moved back to what it came from. One
// that has no way back stays what it is, with the reason.
func (d *decision) rollBack(why string) {
	a := d.run
	a.Phase, a.Why, a.Open, a.queue, a.Ended = RolloutRollingBack, why, false, nil, time.Time{}
	for _, m := range a.members {
		if !m.moved() {
			continue
		}
		if no := d.oneWay(m); no != "" {
			d.staysOn(m, no)
			continue
		}
		a.change(m, func(m *RolloutMember) {
			m.Back, m.Begun, m.Accepted, m.NoWay, m.Unwell = true, true, false, "", time.Time{}
		})
		d.sendBack(m, "goes back")
	}
}

// staysOn notes why a member that runs what the rollout brought goes on with it.
func (d *decision) staysOn(m *RolloutMember, why string) {
	d.run.change(m, func(m *RolloutMember) {
		m.NoWay = why
		if m.Class == ClassUpgraded {
			m.Why = "not taken back: " + why
		}
	})
}

func (d *decision) sendBack(m *RolloutMember, why string) {
	d.run.class(m, ClassMoving, why, d.now)
	if s := d.seat(m); s.spoke() && s.report.State == Unknown {
		d.run.unseen[m.Tenant] = true
	}
}

// goesBack closes the rollout once nobody is on the way back any more, and asks
// about those that did not get there: a way back that fails is not gone back
// from, and what serves keeps serving.
func (d *decision) goesBack() bool {
	a := d.run
	if a.unfinished > 0 {
		d.waitsForMotion("is closed when all are back")
		return d.judgeUnwell()
	}
	var stuck []*RolloutMember
	for _, m := range a.members {
		if m.Back && m.Class == ClassFailed && !m.Accepted {
			stuck = append(stuck, m)
		}
	}
	if len(stuck) == 0 {
		d.closeBack()
		return true
	}
	q := d.stuckQuestion(stuck)
	switch d.asks(q) {
	case plans.Stay:
		for _, m := range stuck {
			a.change(m, func(m *RolloutMember) { m.Accepted, m.NoWay = true, m.Why })
			if s := d.seat(m); s != nil && s.spoke() && s.report.Done && (s.report.State == Converged || s.report.State == Held) {
				// It failed to go back, and is well where the rollout had moved it.
				a.change(m, func(m *RolloutMember) { m.Accepted = false })
				a.class(m, ClassUpgraded, "not taken back: "+m.NoWay, d.now)
			}
		}
	case RetryFailed:
		a.Tries++
		for _, m := range stuck {
			if d.seat(m) == nil {
				a.change(m, func(m *RolloutMember) { m.Accepted = true })
				continue
			}
			if d.oneWay(m) != "" {
				continue // it has no way any more
			}
			d.sendBack(m, "goes back, tried again")
			a.change(m, func(m *RolloutMember) { m.Retry = true })
		}
		d.whole = true
	default:
		return false
	}
	return true
}

// closeBack closes a rollout nobody is on the way back of any more, and says who
// still runs what it brought.
func (d *decision) closeBack() {
	a := d.run
	var left []*RolloutMember
	for _, m := range a.members {
		if m.moved() {
			left = append(left, m)
		}
	}
	if len(left) == 0 {
		d.close(RolloutRolledBack, a.Why)
		return
	}
	d.close(RolloutPartlyBack, a.Why+"; "+plural(len(left), "tenant is", "tenants are")+" not back: "+firstOf(left))
}

func firstOf(stuck []*RolloutMember) string {
	text := stuck[0].Tenant + " (" + cmp.Or(stuck[0].NoWay, stuck[0].Why) + ")"
	if more := len(stuck) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// stuckQuestion asks about tenants that did not go back.
func (d *decision) stuckQuestion(stuck []*RolloutMember) *Question {
	a := d.run
	var names []string
	again := 0 // of those with a way
	for _, m := range stuck {
		names = append(names, m.Tenant)
		if d.oneWay(m) == "" {
			again++
		}
	}
	q := &Question{ID: fmt.Sprintf("%s.stuck-%s", a.ID, digest(8, a.ID, a.Number, a.Trips, a.Tries, names)),
		Text: "rollout " + a.ID + " of " + d.subject() + " is taken back, and " + plural(len(stuck), "tenant", "tenants") +
			" did not get there: " + firstOf(stuck) + "; what they serve goes on serving",
		Answers: map[string]string{
			plans.Stay: fmt.Sprintf("leave the %d as they are and close the rollout; a commit takes them back", len(stuck)),
		}}
	if again > 0 {
		q.Answers[RetryFailed] = fmt.Sprintf("try to take the %d back again", again)
	}
	return q
}

// judgeBack classes a member that was told to go back.
func (d *decision) judgeBack(m *RolloutMember, r *Report) {
	a := d.run
	if m.Class != ClassMoving {
		return
	}
	if r.State == Unknown {
		a.unseen[m.Tenant] = true
		return
	}
	delete(a.unseen, m.Tenant)
	a.change(m, func(m *RolloutMember) {
		m.Moves = r.InMotion
		if r.InMotion {
			m.Retry = false
		}
	})
	fails := func(why string) {
		a.class(m, ClassFailed, why, d.now)
		a.change(m, func(m *RolloutMember) { m.Restored = false })
	}
	switch {
	case m.isBack(r):
		a.class(m, ClassRolledBack, "", d.now)
		a.change(m, func(m *RolloutMember) { m.Restored, m.Moves = true, false })
	case r.NoWayBack != "":
		fails(r.NoWayBack)
	case r.InMotion || !r.Failed || m.Retry:
	case r.State == HeldBack, r.State == Held && !r.Done:
		fails(r.Why) // of one that a person holds half way, too
	case r.Done:
		// The way back failed, and what served before it serves again: what the
		// rollout brought.
		fails("the way back failed" + reason(r.BackFailed) + "; it runs what the rollout brought")
	}
}

// reason is why as the end of a sentence.
func reason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// isBack says that a member runs what it came from again, all of it.
func (m *RolloutMember) isBack(r *Report) bool {
	if r.InMotion || r.Done || !r.Failed || !r.Restored {
		return false
	}
	// A tenant whose record is older than its memory of all it ran says its core.
	core := m.From.Aside == m.Target.Aside && m.From.Idle == m.Target.Idle && m.From.Core != m.Target.Core
	return r.Reached == m.From || core && r.Generation == m.From.Core
}
