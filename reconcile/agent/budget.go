package agent

import (
	"cmp"
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// defaultPruneBudget is how many tenants one commit may remove without a
// question where the plan says nothing.
const defaultPruneBudget = 3

// overBudget returns the tenants of this host that the plan removes, if they are
// more than its budget; nil if not. Those whose removal has begun do not count.
func (e *Engine) overBudget(p *plans.Plan) *reconcile.Removals {
	over := &reconcile.Removals{Budget: cmp.Or(p.PruneBudget, defaultPruneBudget)}
	for i := range p.Tenants {
		m := e.members[p.Tenants[i].Name]
		if p.Tenants[i].Removed && m != nil && m.rec.Current != nil && m.rec.Removal == nil {
			over.Tenants = append(over.Tenants, m.name)
		}
	}
	if len(over.Tenants) <= over.Budget {
		return nil
	}
	slices.Sort(over.Tenants)
	return over
}
