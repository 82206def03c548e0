package main

import (
	"context"
	"fmt"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// rolloutBack is what the way back of a rollout came to, as JSON.
type rolloutBack struct {
	agent.RolloutView
	// RolledBack says that all it moved are back.
	RolledBack bool          `json:"rolledBack"`
	Pass       agent.Outcome `json:"pass"`
}

// rollBackRollout sends back all that a rollout moved, and follows until they
// are.
func (p *program) rollBackRollout(ctx context.Context, set settings, given, reason string) error {
	if c, ok := dial(ctx, set); ok {
		defer c.Close()
		v, err := backable(ctx, c, given)
		if err != nil {
			return err
		}
		if err := c.RollbackRollout(ctx, v.ID, reason, who()); err != nil {
			return err
		}
		view := newPassView(p.stdout, p.stderr, set.Output)
		defer view.Close()
		p.passing = "the daemon goes on with it"
		out, err := c.Pass(ctx, view.Line)
		if err != nil {
			return err
		}
		after, err := c.Rollout(ctx, v.ID)
		if err != nil {
			return err
		}
		return p.rolloutIsBack(view, set, after, out)
	}
	return p.orderHere(ctx, set, func(a *agent.Agent, view *passView) error {
		// What came to rest is known from the journal, before anything is looked at.
		v, err := backable(ctx, &onlooker{agent: a, program: p, looked: true}, given)
		if err != nil {
			return err
		}
		if err := a.RollbackRollout(v.ID, reason, who()); err != nil {
			return err
		}
		out, err := a.Pass(ctx)
		if err != nil {
			return err
		}
		after, err := a.Rollout(v.ID)
		if err != nil {
			return err
		}
		return p.rolloutIsBack(view, set, after, out)
	})
}

// backable finds a rollout, and refuses where it cannot be taken back.
func backable(ctx context.Context, t teller, given string) (agent.RolloutView, error) {
	v, err := findRollout(ctx, t, given)
	if err != nil {
		return v, err
	}
	if v.NoWayBack != "" {
		return v, observed.Wrap("roll back", "rollout "+v.ID, observed.Refused, fmt.Errorf("%s", v.NoWayBack),
			"`reconcile rollout show "+v.ID+"` says where its tenants are; `reconcile revert --rollout "+v.ID+"` takes the change back in git")
	}
	return v, nil
}

// rolloutIsBack tells how it ended.
func (p *program) rolloutIsBack(view *passView, set settings, v agent.RolloutView, out agent.Outcome) error {
	view.Close()
	r := rolloutBack{RolloutView: v, RolledBack: v.Phase == reconcile.RolloutRolledBack, Pass: out}
	if set.Output == "json" {
		if err := p.json(r); err != nil {
			return err
		}
	} else if r.RolledBack {
		fmt.Fprintf(p.stdout, "rollout %s is rolled back: %s; git still names what it brought, so take it back there too\n  → reconcile revert --rollout %s\n", v.ID, v.Summary, v.ID)
	} else {
		fmt.Fprintf(p.stdout, "rollout %s is %s, and not all is back: %s\n  → reconcile rollout show %s\n", v.ID, v.Phase, v.Summary, v.ID)
	}
	if !r.RolledBack {
		return status(exitError)
	}
	return nil
}
