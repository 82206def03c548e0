package reconcile

import (
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
)

// moved notes one way in which the host moved without the plan. It is told
// once, until it is repaired.
func (m *machine) moved(kind, what, text string) {
	m.drift = append(m.drift, Drift{Kind: kind, What: what, Text: text})
}

// tellDrift reports the drift of this step and tells of what is new.
func (m *machine) tellDrift() {
	m.inputsChanged()
	m.report.Drift = m.drift
	if m.report.State == Held && m.rec.Attempt != nil || m.report.State == Unknown || m.report.Reason == Flapping {
		return // not looked for: what was known stays known
	}
	var now []string
	for _, d := range m.drift {
		key := d.Kind + " " + d.What
		now = append(now, key)
		if !slices.Contains(m.rec.Drift, key) {
			m.event(TenantDrift, m.in.Name+": "+d.Text, "kind", d.Kind, "what", d.What)
		}
	}
	for _, key := range m.rec.Drift {
		if !slices.Contains(now, key) && !m.changing() {
			m.event(TenantRepaired, m.in.Name+" is as recorded again: "+key)
		}
	}
	m.rec.Drift = now
}

// changing says that what moved is left behind by a change rather than repaired.
func (m *machine) changing() bool { return m.rec.Attempt != nil || m.rec.Removal != nil }

// inputsChanged reports host files whose content changed under the same
// version. It is never acted on.
func (m *machine) inputsChanged() {
	cur := m.rec.Current
	if cur == nil {
		return
	}
	for path, was := range plans.Sorted(cur.Inputs) {
		if is, seen := m.seen.Inputs[path]; seen && is != was {
			m.moved("inputsChanged", path, "the file "+path+" changed without a new version in the plan; what runs still has the old content; raise its version in the plan to take it over")
		}
	}
}

// tellSight tells when sight was lost and when it came back.
func (m *machine) tellSight() {
	was := m.rec.State == Unknown
	is := m.report.State == Unknown
	switch {
	case is && !was:
		m.event(TenantUnknown, m.in.Name+": "+m.report.Why)
	case was && !is:
		m.event(TenantSeen, m.in.Name+" can be seen again")
	}
}
