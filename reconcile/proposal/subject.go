package proposal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitops-fleet/reconcile/plans"
)

// Subject is what is to be as it was: a tenant's target, or the release that a
// rollout spreads, seen at one of its tenants.
type Subject struct {
	Tenant string
	// Release says that the template's release counts, not the tenant's target.
	Release bool
	// From and To are the releases a rollout moves from and to; "" for a tenant.
	From, To string
}

// noTenant is what a plan wants of a tenant that it does not name.
const noTenant = "no such tenant"

// wants names what a plan wants of the subject: equal names want the same.
func (s Subject) wants(p *plans.Plan) string {
	t := p.Tenant(s.Tenant)
	switch {
	case t == nil:
		return noTenant
	case s.Release:
		return t.Release
	case t.Removed:
		return "removed"
	}
	target := t.Target()
	return strings.Join([]string{string(target.Active), target.Core, target.Idle, target.Aside, target.Live}, " ")
}

// span is a change of the plan: what was wanted at before, and what is wanted
// since after. Between them nothing held that wanted anything else.
type span struct {
	before, after *object.Commit
	was           string // what was wanted
}

// changed finds the commit that brought what is wanted of the subject at from,
// and the newest one before it that wanted something else.
func (r *reader) changed(ctx context.Context, from string, s Subject) (span, error) {
	var found span
	now, steps := "", 0
	for commit, err := range r.clone.versions(ctx, from) {
		if err != nil {
			return span{}, err
		}
		if commit == nil {
			break
		}
		steps++
		plan, err := r.plan(commit.Hash.String(), s.Tenant)
		if errors.Is(err, errRefused) && steps > 1 {
			continue // nobody followed it
		}
		if err != nil {
			return span{}, err
		}
		wants := s.wants(plan)
		switch {
		case now == "" && s.To != "" && wants != s.To:
			return span{}, refused("take back", s.Tenant, errors.New("the plan does not ask for what the rollout brings any more"),
				"`git log` shows what was changed since; name a tenant instead: `reconcile revert TENANT`")
		case now == "" || wants == now:
			now, found.after = wants, commit
		case s.From == "" || wants == s.From:
			found.before, found.was = commit, wants
			return found, nil
		case found.before == nil: // in case From is not found
			found.before, found.was = commit, wants
		}
	}
	if found.before != nil {
		return found, nil
	}
	if now == noTenant {
		return span{}, refused("take back", s.Tenant, errors.New("no commit of this branch names such a tenant"), "`reconcile status` lists those of a host")
	}
	return span{}, refused("take back", s.Tenant, fmt.Errorf("it is as it was when commit %s brought it, and nothing is known of it before", found.after.Hash.String()[:10]),
		"to take a tenant away, put removed: true into its plan")
}
