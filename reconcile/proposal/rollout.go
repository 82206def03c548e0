package proposal

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// lane is the tenants of one template that follow one policy on one node; one
// of them stands for all.
type lane struct {
	policy, template, node, tenant string
	release                        string // seen at the commit before in the walk
}

// FindRollout finds what brought a rollout by its id alone, where no host can be
// asked: the id names the change, so that every change of the history that such
// a rollout could have come from is tried. It finds rollouts whose tenants all
// came from the release that the plan named before. node is for tenants that
// name none.
func (c *Clone) FindRollout(ctx context.Context, id, node string) (Subject, error) {
	r := &reader{clone: c}
	plan, err := r.plan(c.tip.Hash.String())
	if err != nil {
		return Subject{}, err
	}
	lanes := lanesOf(plan, node)
	if len(lanes) == 0 {
		return Subject{}, refused("find rollout", id, errors.New("no tenant of the plan has a template and a batchPolicy"), "name a tenant: `reconcile revert TENANT`")
	}
	tenants := make([]string, len(lanes))
	for i := range lanes {
		tenants[i] = lanes[i].tenant
	}
	for commit, err := range c.versions(ctx, c.tip.Hash.String()) {
		if err != nil {
			return Subject{}, err
		}
		if commit == nil {
			break
		}
		plan, err := r.plan(commit.Hash.String(), tenants...)
		if errors.Is(err, errRefused) {
			continue
		}
		if err != nil {
			return Subject{}, err
		}
		for i := range lanes {
			l := &lanes[i]
			t := plan.Tenant(l.tenant)
			if t == nil || t.Template != l.template {
				continue
			}
			from, to := t.Release, l.release
			l.release = from
			if to == "" || to == from {
				continue
			}
			if named(id, reconcile.RolloutBase(l.policy, l.template, from, to, l.node)) {
				return Subject{Tenant: l.tenant, Release: true, From: from, To: to}, nil
			}
		}
	}
	return Subject{}, refused("find rollout", id, errors.New("no change of this branch makes a rollout of that id on node "+cmp.Or(node, "?")),
		"run it on the rollout's host, give --node its name and the whole id, or name a tenant: `reconcile revert TENANT`")
}

// lanesOf are the lanes of a plan, each with its first tenant.
func lanesOf(plan *plans.Plan, node string) (out []lane) {
	for i := range plan.Tenants {
		t := &plan.Tenants[i]
		l := lane{policy: t.Policy, template: t.Template, node: cmp.Or(t.Node, node)}
		known := slices.ContainsFunc(out, func(o lane) bool { return o.policy == l.policy && o.template == l.template && o.node == l.node })
		if l.policy == "" || l.template == "" || known {
			continue
		}
		l.tenant = t.Name
		out = append(out, l)
	}
	return out
}

// named says that an id is that of an attempt at the change with this base, or
// the beginning of one.
func named(id, base string) bool {
	short, _ := strings.CutPrefix(id, "ro-")
	whole, _ := strings.CutPrefix(base, "ro-")
	// The number of an attempt follows a second hyphen.
	short, _, _ = strings.Cut(short, "-")
	return short != "" && strings.HasPrefix(whole, short)
}
