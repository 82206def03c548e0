package reconcile

import "github.com/gitops-fleet/reconcile/plans"

// op is the word for the way from what runs to what the plan says.
func (m *machine) op() Op {
	switch {
	case m.in.Want == nil:
		return Keep
	case m.in.Want.Hold != nil && m.report.State == Held:
		return Hold
	case m.in.Want.Removed:
		return Delete
	case m.rec.Current == nil:
		return Add
	case m.coreMoves():
		return m.coreOp()
	case m.rec.Target != m.target && !m.same():
		return Update
	}
	return Keep
}

// same says that the targets differ in words only: auto and the named slot that
// serves anyway.
func (m *machine) same() bool {
	a, b := m.rec.Target, m.target
	a.Active, b.Active = plans.NoSlot, plans.NoSlot
	return a == b
}
