package reconcile

// obey does what the rollout says of the target beyond leave to go: lift what is
// withheld of it, withhold it, or leave it for what served before.
func (m *machine) obey() {
	p := &m.in.Permit
	if m.want == nil || p.Target != m.target {
		return
	}
	withheld := m.rec.withheld(m.target) != nil
	switch {
	case p.Retry && withheld && m.rec.Attempt == nil:
		m.retry()
		if p.Back && m.blind() == nil {
			m.report.NoWayBack = m.takeBack("rollout "+p.Rollout+" took it back", p.From)
		}
	case p.Back && !withheld && m.blind() == nil:
		m.report.NoWayBack = m.takeBack("rollout "+p.Rollout+" took it back", p.From)
	case p.Withhold != "" && !p.Back && !withheld:
		// With the time, because a rollout's id may come again when it is long
		// forgotten, and an answer of then is no answer now.
		m.rec.withhold(Withheld{Target: m.target, Reason: p.Withhold, Why: "rollout " + p.Rollout + " was closed without it",
			Since: m.now, Attempt: p.Rollout + " at " + stamp(m.now)})
	}
}
