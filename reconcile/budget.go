package reconcile

import (
	"slices"
	"strings"
)

// Removals are the tenants that the plan in force removes, where they are more
// than it may remove without a question.
type Removals struct {
	Tenants []string // sorted
	Budget  int
}

func (r *Removals) text() string {
	return "the plan removes " + plural(len(r.Tenants), "tenant", "tenants") + ", more than the prune budget of " + itoa(r.Budget) +
		": " + strings.Join(r.Tenants, ", ")
}

// overBudget says that the tenant's removal waits for a person, because so many
// go with it. What has begun is finished.
func (m *machine) overBudget() bool {
	over := m.in.Over
	if over == nil || m.rec.Removal != nil || !slices.Contains(over.Tenants, m.in.Name) {
		return false
	}
	return m.put(RemovalsID(m.env.Fleet, m.env.Node, over), over.text(),
		map[string]string{"remove": "remove them all, and keep their data for the grace"}) != "remove"
}

// sayOverBudget reports a tenant that keeps running until the answer is there.
func (m *machine) sayOverBudget() {
	m.say(HeldBack, Blocked, m.in.Over.text(), "answer the question, or take tombstones (removed: true) back")
}

// RemovalsID is the id of the question about so many removals: the same for all
// of them, and another one for any other set.
func RemovalsID(fleet, node string, r *Removals) string {
	return "removals-" + digest(8, fleet, node, r.Budget, strings.Join(r.Tenants, " "))
}
