package main

import (
	"context"
	"fmt"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// dial finds the daemon that holds the state directory, if one runs.
func dial(ctx context.Context, set settings) (*agent.Client, bool) {
	c, err := agent.Dial(ctx, set.State)
	return c, err == nil
}

// teller answers questions about the host: the daemon, or an agent of our own
// that looks and does not act.
type teller interface {
	Status(ctx context.Context, tenant ...string) (agent.Status, error)
	Drift(ctx context.Context) ([]agent.TenantDrift, error)
	Explain(ctx context.Context, tenant string) (agent.Explanation, error)
	Events(ctx context.Context, q journal.Query, follow bool, fn func(journal.Logged)) error
}

// ask returns a teller, and what ends it.
func (p *program) ask(ctx context.Context, set settings) (teller, func(), error) {
	if c, ok := dial(ctx, set); ok {
		return c, c.Close, nil
	}
	feed, err := newFeed(set)
	if err != nil {
		return nil, nil, err
	}
	plan, err := feed.inForce(ctx)
	if err != nil {
		return nil, nil, err
	}
	h, err := openHost(ctx, set, plan, hostOptions{Log: p.logger(set)})
	if err != nil {
		return nil, nil, err
	}
	a, err := agent.New(h.config)
	if err != nil {
		h.Close()
		return nil, nil, err
	}
	a.SetPlan(plan)
	return &onlooker{agent: a}, func() { h.Close() }, nil
}

// onlooker is an agent that looked once and never acts.
type onlooker struct {
	agent  *agent.Agent
	looked bool
}

func (o *onlooker) look(ctx context.Context) error {
	if o.looked {
		return nil
	}
	o.looked = true
	return o.agent.Look(ctx)
}

func (o *onlooker) Status(ctx context.Context, tenant ...string) (agent.Status, error) {
	err := o.look(ctx)
	return o.agent.Status(tenant...), err
}

func (o *onlooker) Drift(ctx context.Context) ([]agent.TenantDrift, error) {
	err := o.look(ctx)
	return o.agent.Drift(), err
}

func (o *onlooker) Explain(ctx context.Context, tenant string) (agent.Explanation, error) {
	if err := o.look(ctx); err != nil {
		return agent.Explanation{}, err
	}
	return o.agent.Explain(tenant)
}

// Events cannot follow: without a daemon nothing happens.
func (o *onlooker) Events(_ context.Context, q journal.Query, follow bool, fn func(journal.Logged)) error {
	logged, err := o.agent.Events(q)
	if err != nil {
		return err
	}
	for _, e := range logged {
		fn(e)
	}
	if follow {
		return fmt.Errorf("no daemon runs on this state directory, so no event follows; start one with `reconcile run`")
	}
	return nil
}

// inForce is the plan last accepted, without asking the remote; where none was
// accepted yet, the newest.
func (f *feed) inForce(ctx context.Context) (*plans.Plan, error) {
	if f.src != nil {
		if hash := f.src.Accepted(); hash != "" {
			rev, err := f.at(hash)
			return rev.Plan, err
		}
	}
	rev, err := f.Newest(ctx, "")
	return rev.Plan, err
}
