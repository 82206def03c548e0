package agent

import (
	"cmp"
	"slices"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// PlannedChange is a change of tenants without a batch policy: they move one
// after the other, and the first failure stops the rest.
type PlannedChange struct {
	// Template they share; "" for a change of one tenant alone.
	Template string `json:"template,omitempty"`
	// Tenants in the order in which they would begin.
	Tenants []string `json:"tenants"`
	// Passed are those that would not be moved, and why.
	Passed []PassedOver `json:"passed,omitempty"`
	// Breaker says what would stop it, and what then.
	Breaker string `json:"breaker"`

	change  string
	members []string
}

// oneByOne is the breaker of tenants without a batch policy.
const oneByOne = "one after the other, and the first failure stops the rest"

// group notes which tenants without a policy change together, before anything
// is done.
func (w *rehearsal) group() {
	for _, m := range w.engine.rollout.order {
		if m.want == nil || m.want.Removed || m.rec.Target == m.target {
			continue
		}
		asked := m.reported()
		asked.Report.Release = m.rec.Release
		change := asked.Change()
		i := slices.IndexFunc(w.changes, func(c PlannedChange) bool { return c.change == change })
		if i < 0 {
			i = len(w.changes)
			w.changes = append(w.changes, PlannedChange{Template: m.want.Template, Breaker: oneByOne, change: change})
		}
		w.changes[i].members = append(w.changes[i].members, m.name)
	}
}

// unbatched are the changes of tenants without a policy as they were played.
func (w *rehearsal) unbatched() []PlannedChange {
	var out []PlannedChange
	for _, c := range w.changes {
		c.Tenants = []string{}
		for _, name := range w.order {
			if slices.Contains(c.members, name) {
				c.Tenants = append(c.Tenants, name)
			}
		}
		for _, name := range c.members {
			if m := w.engine.members[name]; m != nil && !slices.Contains(c.Tenants, name) {
				c.Passed = append(c.Passed, passedOver(m))
			}
		}
		if len(c.members) > 1 {
			out = append(out, c)
		}
	}
	return out
}

func passedOver(m *member) PassedOver {
	class := reconcile.ClassSkipped
	switch m.report.State {
	case reconcile.Held:
		class = reconcile.ClassHeld
	case reconcile.Unknown:
		class = reconcile.ClassUnknown
	}
	return PassedOver{m.name, class, m.report.Why}
}

// held are the tenants nobody touches, by name.
func (w *rehearsal) held() []PassedOver {
	var out []PassedOver
	for _, name := range sortedKeys(w.engine.members, cmp.Compare[string]) {
		if m := w.engine.members[name]; m.report.State == reconcile.Held {
			out = append(out, passedOver(m))
		}
	}
	return out
}
