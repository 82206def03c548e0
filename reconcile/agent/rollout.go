package agent

import (
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// rollout is the agent's side of permits: it keeps the members of each change
// together and asks reconcile.Permits about a change only when one of its
// members came to stand elsewhere.
type rollout struct {
	order   []*member // the plan's
	changes map[string][]*member
	dirty   map[string]bool
	regroup bool
}

// stand is all of a member that its change goes by.
type stand struct {
	change                        string
	target                        plans.Target
	about                         bool // the report is about the target
	moving, failed, done, removed bool
	state                         reconcile.State
}

func (m *member) reported() reconcile.Member {
	return reconcile.Member{Want: m.want, Target: m.target, Report: m.report}
}

func (m *member) stand() stand {
	r := &m.report
	s := stand{change: m.reported().Change(), target: m.target, about: r.Target == m.target,
		moving: r.InMotion, failed: r.Failed, done: r.Done, removed: m.want == nil || m.want.Removed}
	if r.State == reconcile.Held || r.State == reconcile.HeldBack {
		s.state = r.State
	}
	return s
}

// plan takes in the members of a new plan, in its order, and those it does not
// name any more.
func (r *rollout) plan(order []*member) { r.order, r.regroup = order, true }

// heard takes in that a member's report changed.
func (r *rollout) heard(m *member) {
	now := m.stand()
	if now == m.stood {
		return
	}
	if now.change != m.stood.change {
		r.regroup = true
	}
	m.stood = now
	if r.dirty == nil {
		r.dirty = map[string]bool{}
	}
	r.dirty[now.change] = true
}

func (r *rollout) pending() bool { return r.regroup || len(r.dirty) > 0 }

// decide calls set with the members whose permit changed.
func (r *rollout) decide(set func(*member, reconcile.Permit)) {
	if r.regroup {
		r.group()
	}
	for change := range r.dirty {
		members := r.changes[change]
		asked := make([]reconcile.Member, len(members))
		for i, m := range members {
			asked[i] = m.reported()
		}
		for i, p := range reconcile.Permits(asked) {
			if p != members[i].permit {
				set(members[i], p)
			}
		}
	}
	clear(r.dirty)
}

// group sorts the members into their changes; all are asked about again.
func (r *rollout) group() {
	r.regroup = false
	r.changes, r.dirty = map[string][]*member{}, map[string]bool{}
	for _, m := range r.order {
		if m.gone {
			continue
		}
		m.stood = m.stand()
		r.changes[m.stood.change] = append(r.changes[m.stood.change], m)
		r.dirty[m.stood.change] = true
	}
}
