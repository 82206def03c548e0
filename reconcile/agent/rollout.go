package agent

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// rollout is the agent's side of permits: it tells reconcile.Permits what
// changed and remembers what it said.
type rollout struct {
	changed map[string]bool
}

func (r *rollout) plan(p *plans.Plan, now time.Time) {
	r.changed = map[string]bool{}
	for i := range p.Tenants {
		r.changed[p.Tenants[i].Name] = true
	}
}
func (r *rollout) pending() bool   { return len(r.changed) > 0 }
func (r *rollout) heard(m *member) {}
func (r *rollout) gone(m *member)  {}
func (r *rollout) decide() []string {
	var out []string
	for n := range r.changed {
		out = append(out, n)
	}
	r.changed = nil
	return out
}
func (r *rollout) permit(m *member) reconcile.Permit {
	return reconcile.Permit{Go: m.want != nil, Target: m.target}
}
