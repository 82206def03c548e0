package main

import (
	"context"
	"errors"

	"github.com/gitops-fleet/reconcile/plans/observed"
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
	Data(ctx context.Context, tenant string) (agent.Lineage, error)
	RestoreCost(ctx context.Context, tenant, snapshot string) ([]agent.Cost, error)
	Events(ctx context.Context, q journal.Query, follow bool, fn func(journal.Logged)) error
	Rollouts(ctx context.Context) ([]agent.RolloutView, error)
	Rollout(ctx context.Context, id string) (agent.RolloutView, error)
}

// ask returns a teller, what a person must know to read its answers, and what
// ends it.
func (p *program) ask(ctx context.Context, set settings) (t teller, notes []string, done func(), err error) {
	if c, ok := dial(ctx, set); ok {
		return c, nil, c.Close, nil
	}
	set, clean, err := set.scratched()
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if err != nil {
			clean()
		}
	}()
	feed, err := openFeed(set)
	if err != nil {
		return nil, nil, nil, err
	}
	defer p.patience("reading " + feed.name())()
	rev, err := feed.inForce(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	h, err := lookHost(set, rev.Plan, p.logger())
	if err != nil {
		return nil, nil, nil, err
	}
	a, err := agent.New(h.config)
	if err != nil {
		return nil, nil, nil, errors.Join(err, h.Close())
	}
	a.SetPlan(rev.Plan)
	notes = append(h.notes, "no daemon runs here: this is one look, and nothing is acted on")
	return &onlooker{agent: a, program: p}, notes, func() { h.Close(); clean() }, nil
}

// onlooker is an agent that looked once and never acts.
type onlooker struct {
	agent   *agent.Agent
	program *program
	looked  bool
}

func (o *onlooker) look(ctx context.Context) error {
	if o.looked {
		return nil
	}
	o.looked = true
	defer o.program.patience("looking at the host")()
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

func (o *onlooker) Data(ctx context.Context, tenant string) (agent.Lineage, error) {
	if err := o.look(ctx); err != nil {
		return agent.Lineage{}, err
	}
	return o.agent.Data(ctx, tenant)
}

func (o *onlooker) RestoreCost(ctx context.Context, tenant, snapshot string) ([]agent.Cost, error) {
	if err := o.look(ctx); err != nil {
		return nil, err
	}
	return o.agent.RestoreCost(ctx, tenant, snapshot)
}

func (o *onlooker) Rollouts(ctx context.Context) ([]agent.RolloutView, error) {
	err := o.look(ctx)
	return o.agent.Rollouts(), err
}

func (o *onlooker) Rollout(ctx context.Context, id string) (agent.RolloutView, error) {
	if err := o.look(ctx); err != nil {
		return agent.RolloutView{}, err
	}
	return o.agent.Rollout(id)
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
		return observed.Wrap("follow events", "", observed.Refused, errors.New("no daemon runs on this state directory, so none follows"), "start one with `reconcile run`")
	}
	return nil
}
