package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// rollout is the agent's side of permits. Tenants with a batch policy move as
// reconcile.Rollouts says; the others by reconcile.Permits, which is asked about
// a change only when one of its members came to stand elsewhere.
type rollout struct {
	runs    *reconcile.Rollouts
	batched map[string]*member // who follow runs

	order   []*member // the others, in the plan's order
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
	return reconcile.Member{Want: m.want, Target: m.target, Report: *m.report}
}

func (m *member) stand() stand {
	r := m.report
	s := stand{change: m.reported().Change(), target: m.target, about: r.Target == m.target,
		moving: r.InMotion, failed: r.Failed, done: r.Done, removed: m.want == nil || m.want.Removed}
	if r.State == reconcile.Held || r.State == reconcile.HeldBack {
		s.state = r.State
	}
	return s
}

// plan takes in a plan and its members in its order; of those it does not name
// any more nothing is asked.
func (r *rollout) plan(p *plans.Plan, order []*member) {
	spec := reconcile.RolloutPlan{Commit: p.Commit, Policies: p.Policies}
	r.order, r.regroup, r.batched = nil, true, map[string]*member{}
	for _, m := range order {
		if _, ok := p.Policies[m.want.Policy]; !ok || m.want.Removed {
			r.order = append(r.order, m)
			continue
		}
		r.batched[m.name] = m
		spec.Tenants = append(spec.Tenants, reconcile.RolloutTenant{Want: m.want, Target: m.target})
	}
	r.runs.Plan(spec)
	for _, m := range order {
		if r.batched[m.name] != nil && m.report.State != "" {
			r.runs.Hear(m.report)
		}
	}
}

// heard takes in that a member's report changed.
func (r *rollout) heard(m *member) {
	if r.batched[m.name] != nil {
		r.runs.Hear(m.report)
		return
	}
	now := m.stand()
	if m.stood != nil && now == *m.stood {
		return
	}
	if m.stood == nil || now.change != m.stood.change {
		r.regroup = true
	}
	m.stood = &now
	if r.dirty == nil {
		r.dirty = map[string]bool{}
	}
	r.dirty[now.change] = true
}

func (r *rollout) pending(now time.Time) bool {
	return r.regroup || len(r.dirty) > 0 || r.runs.Due(now)
}

// decide calls set with the members whose permit changed, adds to the transaction
// what is to be remembered, and returns the questions whose answer was taken.
func (r *rollout) decide(now time.Time, answers map[string]string, tx *journal.Tx, set func(*member, reconcile.Permit)) (taken []string, err error) {
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
	if !r.runs.Due(now) {
		return nil, nil
	}
	d := r.runs.Decide(now, answers)
	for _, p := range d.Permits {
		if m := r.batched[p.Tenant]; m != nil {
			set(m, p.Permit)
		}
	}
	return d.Taken, remember(d, tx)
}

// remember writes down what changed of the rollouts: each under its id, each of
// its members under the id and its name.
func remember(d reconcile.RolloutDelta, tx *journal.Tx) error {
	for _, r := range d.Dropped {
		tx.Delete(journal.Rollouts, r.ID)
		for _, tenant := range r.Tenants {
			tx.Delete(journal.Rollouts, r.ID+"/"+tenant)
		}
	}
	for base, n := range d.Attempts {
		if err := tx.Put(journal.Meta, metaAttempts+base, n); err != nil {
			return err
		}
	}
	for i := range d.Rollouts {
		if err := tx.Put(journal.Rollouts, d.Rollouts[i].ID, &d.Rollouts[i]); err != nil {
			return err
		}
	}
	for i := range d.Members {
		m := &d.Members[i]
		if err := tx.Put(journal.Rollouts, m.Rollout+"/"+m.Tenant, &m.RolloutMember); err != nil {
			return err
		}
	}
	tx.Events = append(tx.Events, d.Events...)
	return nil
}

// load reads what is remembered of the rollouts. The time since last, the clock
// of the last turn, was seen by nobody: it proves no bake.
func (r *rollout) load(store journal.Store, last, now time.Time) error {
	var heads []reconcile.Rollout
	members := map[string][]reconcile.RolloutMember{}
	err := store.Each(journal.Rollouts, func(key string, v []byte) error {
		id, tenant, isMember := strings.Cut(key, "/")
		if !isMember {
			var head reconcile.Rollout
			if err := json.Unmarshal(v, &head); err != nil {
				return fmt.Errorf("rollout %s: %w", id, err)
			}
			heads = append(heads, head)
			return nil
		}
		var m reconcile.RolloutMember
		if err := json.Unmarshal(v, &m); err != nil {
			return fmt.Errorf("member %s of rollout %s: %w", tenant, id, err)
		}
		members[id] = append(members[id], m)
		return nil
	})
	if err != nil {
		return err
	}
	err = store.Each(journal.Meta, func(key string, v []byte) error {
		base, ok := strings.CutPrefix(key, metaAttempts)
		if !ok {
			return nil
		}
		var n int
		if err := json.Unmarshal(v, &n); err != nil {
			return fmt.Errorf("attempts at %s: %w", base, err)
		}
		r.runs.Attempted(base, n)
		return nil
	})
	if err != nil {
		return err
	}
	for _, head := range heads {
		r.runs.Restore(head, members[head.ID])
	}
	if !last.IsZero() && now.After(last) {
		r.runs.Skip(now.Sub(last))
	}
	return nil
}

// group sorts the members into their changes; all are asked about again.
func (r *rollout) group() {
	r.regroup = false
	r.changes, r.dirty = map[string][]*member{}, map[string]bool{}
	for _, m := range r.order {
		if m.gone {
			continue
		}
		now := m.stand()
		m.stood = &now
		r.changes[now.change] = append(r.changes[now.change], m)
		r.dirty[now.change] = true
	}
}
