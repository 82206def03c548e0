package reconcile

import (
	"cmp"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// heard takes in what a tenant said, or that the plan says something else of it.
func (d *decision) heard(name string) {
	d.stale[name] = true
	d.settle(name)
	a := d.run
	if a == nil {
		return
	}
	m := a.byName[name]
	if m == nil {
		return
	}
	s := d.seat(m)
	if m.Class == ClassPending {
		a.asked = false // it may be among those a question is about
	}
	switch {
	case s == nil:
		d.left(m)
	case s.spoke() && m.Back:
		d.judgeBack(m, s.report)
	case s.spoke() && (m.busy() || m.Class == ClassFailed || (m.Class == ClassHeld || m.Class == ClassSkipped) && m.Begun && s.report.ToTarget || m.Class == ClassUpgraded && m.Batch == a.Batch && a.Open):
		d.judge(m, s.report)
	}
}

// settle takes off what is owed to a tenant once its target is withheld, or is
// another.
func (d *decision) settle(name string) {
	m := d.owed[name]
	if m == nil {
		return
	}
	if s := d.seat(m); s != nil && !(s.spoke() && (s.report.Failed || s.report.Done)) {
		return
	}
	m.Owed = ""
	delete(d.owed, name)
	for _, a := range d.known() {
		if a.byName[name] == m {
			d.all.delta.Members = append(d.all.delta.Members, ChangedMember{a.ID, *m})
		}
	}
}

// left takes in that a member is none any more: the plan wants something else of
// it, or has it follow another policy.
func (d *decision) left(m *RolloutMember) {
	a := d.run
	delete(a.unseen, m.Tenant)
	if m.Class == ClassPending && m.Batch == 0 {
		return // passed over when it is its turn
	}
	if m.waits() || m.busy() {
		if m.Class == ClassFailed {
			a.change(m, func(m *RolloutMember) { m.Moves = false })
			return
		}
		a.class(m, ClassSkipped, "the plan wants something else of it since; it moves in a rollout of its own", d.now)
		a.change(m, func(m *RolloutMember) { m.Moves = false })
		d.unqueue(m)
	}
}

func (d *decision) unqueue(m *RolloutMember) {
	a := d.run
	for i, p := range a.queue {
		if p == m.Place {
			a.queue = append(a.queue[:i:i], a.queue[i+1:]...)
			return
		}
	}
}

// judge classes a started member by what its machine says of it.
func (d *decision) judge(m *RolloutMember, r *Report) {
	a := d.run
	was := m.Class
	d.stale[m.Tenant] = true
	if r.State == Unknown {
		if m.Class == ClassUpgraded {
			a.unseen[m.Tenant] = true // it was well, and is not known to be
		}
		if m.Class == ClassSkipped && m.Begun && r.ToTarget {
			a.class(m, ClassMoving, "", d.now) // the plan led it out and back: it is on the way that was begun
		}
		if m.busy() {
			a.unseen[m.Tenant] = true // neither healthy nor failed
			// That it moves is known of a tenant whose host is not.
			a.change(m, func(m *RolloutMember) {
				m.begins(r)
				m.Retry = m.Retry && !(r.ToTarget && !r.Failed)
			})
		}
		return
	}
	delete(a.unseen, m.Tenant)
	a.change(m, func(m *RolloutMember) {
		// What ends or is undone of an older target is nothing the rollout began.
		m.Moves = r.ToTarget && r.State != Held // held, it stands where it is for as long as a person likes
		m.begins(r)
		m.Begun = m.Begun || r.Done || r.Failed && !m.Retry
		if r.ToTarget && !r.Failed {
			m.Retry = false
		}
	})
	switch {
	case m.Retry && r.State == Held && !r.Done:
		a.class(m, ClassHeld, r.Why, d.now) // a person's hold came before the person's retry
	case m.Retry:
		return // what was withheld is not lifted yet
	case r.Failed:
		a.change(m, func(m *RolloutMember) { m.Restored = r.Restored })
		if was != ClassFailed {
			log := ""
			if r.Problem != nil {
				log = r.Problem.Log
			}
			d.fails(m, cmp.Or(r.FailedBy, r.Why), log)
		}
	case r.State == Held && !r.Done:
		a.class(m, ClassHeld, r.Why, d.now)
	case r.ToTarget, r.InMotion && was != ClassFailed:
		a.class(m, ClassMoving, "", d.now)
		a.change(m, func(m *RolloutMember) { m.Unwell, m.Accepted = time.Time{}, false })
	case r.Done:
		d.judgeDone(m, r)
	case r.State == Held:
		a.class(m, ClassHeld, r.Why, d.now)
	case r.State == HeldBack && r.Reason == Flapping:
		d.fails(m, r.Why, r.UnwellLog)
	case r.State == HeldBack:
		a.class(m, ClassSkipped, r.Why, d.now)
	case was == ClassFailed:
		// A person said that it may be tried again: it takes its turn.
		a.class(m, ClassPending, "", d.now)
		a.change(m, func(m *RolloutMember) { m.Begun, m.Accepted = false, false })
		a.enqueue(m.Place)
		if !a.Open {
			d.reopensBatch()
		}
		if a.Trip != nil {
			a.Trip.Lifted = true
		}
	}
	if m.Class == ClassUpgraded && r.Unseen != "" {
		a.unseen[m.Tenant] = true
	}
	if m.busy() && !a.Well.IsZero() {
		a.Well, a.dirty = time.Time{}, true
	}
	if m.Class == was {
		return
	}
	switch m.Class {
	case ClassUpgraded:
		d.event(RolloutTenantHealth, m.Tenant, a.ID+": "+m.Tenant+" runs what the plan says and is well", "healthy", "true")
	case ClassFailed:
		d.event(RolloutTenantFailed, m.Tenant, a.ID+": "+m.Tenant+" failed: "+m.Why, "batch", batchField(m.Batch), "why", m.Why, "log", m.Log)
	}
}

// fails classes a member as failed, with the end of its last output.
func (d *decision) fails(m *RolloutMember, why, log string) {
	d.run.class(m, ClassFailed, beginOf(why, memberWhyBytes), d.now)
	d.run.change(m, func(m *RolloutMember) { m.Log = tailOf(log, memberLogLines, memberLogBytes) })
}

// begins takes in that the member is on its way. Where it comes from is known
// now: it may have ended what an older release began since it was planned.
func (m *RolloutMember) begins(r *Report) {
	if r.ToTarget && !m.Begun {
		m.Begun = true
		if !r.Failed {
			m.From, m.FromRelease = r.Reached, r.Release
		}
	}
}

// judgeDone judges a member that reached its target: it must be well, or be so
// again within the policy's time.
func (d *decision) judgeDone(m *RolloutMember, r *Report) {
	a := d.run
	if r.State != Degraded && !(r.State == HeldBack && r.Reason == Flapping) {
		why := ""
		if m.NoWay != "" {
			why = "not taken back: " + m.NoWay
		}
		a.class(m, ClassUpgraded, why, d.now)
		a.change(m, func(m *RolloutMember) { m.Unwell, m.Accepted = time.Time{}, false })
		return
	}
	if m.Class == ClassFailed {
		return
	}
	fresh := m.Unwell.IsZero()
	if fresh {
		a.change(m, func(m *RolloutMember) { m.Unwell = d.now })
		d.event(RolloutTenantHealth, m.Tenant, a.ID+": "+m.Tenant+" reached its target and is not well: "+r.Why, "healthy", "false", "why", r.Why)
	}
	if r.State == HeldBack || !d.now.Before(m.Unwell.Add(a.patience())) {
		a.change(m, func(m *RolloutMember) { m.Restored = false })
		d.fails(m, r.Why, r.UnwellLog)
		return
	}
	a.class(m, ClassMoving, "not well: "+r.Why, d.now)
}

// patience is how long a member that reached its target may be unwell.
func (a *active) patience() time.Duration {
	if w := a.Rules.HealthWithin; w > 0 {
		return w.Std()
	}
	return plans.DefaultHealthWithin.Std()
}

// judgeUnwell judges those again that are not well and whose time is over, and
// says whether there was one.
func (d *decision) judgeUnwell() (judged bool) {
	a := d.run
	for name := range plans.Sorted(a.unwell) {
		m := a.byName[name]
		if m.Class != ClassMoving {
			continue
		}
		if at := m.Unwell.Add(a.patience()); d.now.Before(at) {
			d.wakeAt(at)
		} else if s := d.seat(m); s != nil && s.spoke() {
			d.judge(m, s.report)
			judged = judged || m.Class != ClassMoving
		}
	}
	return judged
}
