package reconcile

import (
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

// rollBack sends every tenant the rollout moved back to what it came from.
func (d *decision) rollBack(why string) {
	a := d.run
	a.Phase, a.Why, a.Open, a.queue, a.Ended = RolloutRollingBack, why, false, nil, time.Time{}
	for _, m := range a.members {
		if d.seat(m) == nil || !m.moved() {
			continue
		}
		a.change(m, func(m *RolloutMember) { m.Back, m.Begun = true, true })
		if why := m.noWayBack(); why != "" {
			a.class(m, ClassFailed, why, d.now)
			continue
		}
		d.sendBack(m, "goes back")
	}
}

func (d *decision) sendBack(m *RolloutMember, why string) {
	d.run.class(m, ClassMoving, why, d.now)
	if s := d.seat(m); s.spoke() && s.report.State == Unknown {
		d.run.unseen[m.Tenant] = true
	}
}

// noWayBack says why the way back is not one that a switch to the version kept
// beside the new one can be.
func (m *RolloutMember) noWayBack() string {
	switch {
	case m.From.Zero():
		return "it ran nothing before"
	case m.From.Core == m.Target.Core, m.From.Aside != m.Target.Aside, m.From.Idle != m.Target.Idle:
		return "the change was one of services upgraded alone, of the idle slot or of routes; a commit takes it back"
	}
	return ""
}

// goesBack closes the rollout once nobody is on the way back any more, and asks
// about those that did not get there: a way back that fails is not gone back
// from, and what serves keeps serving.
func (d *decision) goesBack() bool {
	a := d.run
	if a.unfinished > 0 {
		d.waitsForMotion("is closed when all are back")
		return false
	}
	var stuck []*RolloutMember
	for _, m := range a.members {
		if m.Back && m.Class == ClassFailed && !m.Accepted {
			stuck = append(stuck, m)
		}
	}
	if len(stuck) == 0 {
		d.close(RolloutRolledBack, a.Why)
		return true
	}
	q := d.stuckQuestion(stuck)
	switch d.asks(q) {
	case plans.Stay:
		a.Why += "; " + plural(len(stuck), "tenant", "tenants") + " could not go back: " + firstOf(stuck)
		for _, m := range stuck {
			a.change(m, func(m *RolloutMember) { m.Accepted = true })
		}
	case RetryFailed:
		a.Tries++
		for _, m := range stuck {
			if d.seat(m) == nil {
				a.change(m, func(m *RolloutMember) { m.Accepted = true })
				continue
			}
			if m.noWayBack() != "" {
				continue // it never will
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

func firstOf(stuck []*RolloutMember) string {
	text := stuck[0].Tenant + " (" + stuck[0].Why + ")"
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
		if m.noWayBack() == "" {
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
	switch {
	case r.NoWayBack != "":
		a.class(m, ClassFailed, r.NoWayBack, d.now)
	case r.InMotion || !r.Failed || m.Retry && r.Generation != m.From.Core:
	case r.Generation == m.From.Core && !r.Done:
		a.class(m, ClassRolledBack, "", d.now)
		a.change(m, func(m *RolloutMember) { m.Restored = true })
	case r.State == HeldBack:
		a.class(m, ClassFailed, r.Why, d.now)
	case r.Done:
		// The way back failed, and what served before it serves again: what the
		// rollout brought.
		a.class(m, ClassFailed, "the way back failed; it runs what the rollout brought", d.now)
	}
}
