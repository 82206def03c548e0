package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// previewResult is what a dry-run came to, as JSON.
type previewResult struct {
	agent.Preview
	// Notes say what a person must know to read it.
	Notes []string `json:"notes,omitempty"`

	rev revision
}

// preview is the dry-run: what a pass would do with the newest plan.
func (p *program) preview(ctx context.Context, set settings) error {
	set, clean, err := set.scratched()
	if err != nil {
		return err
	}
	defer clean()
	c, daemon := dial(ctx, set)
	if daemon {
		defer c.Close()
		if set, err = likeDaemon(ctx, set, c); err != nil {
			return err
		}
	}
	rev, err := p.tip(ctx, set)
	if err != nil {
		return err
	}
	var out previewResult
	if daemon {
		defer p.patience("the daemon looks at the host")()
		out.Preview, err = c.DryRun(ctx, rev.Plan)
	} else {
		out, err = p.rehearse(ctx, set, rev.Plan)
	}
	if err != nil {
		return err
	}
	out.rev = rev
	if set.Output == "json" {
		if err := p.json(out); err != nil {
			return err
		}
	} else {
		writePreview(p.stdout, out, width(p.stdout))
	}
	return out.status()
}

// status is what the dry-run ends with: what waits for a person says so first,
// and what would only begin later is a change all the same.
func (v previewResult) status() error {
	asks := slices.ContainsFunc(v.Rollouts, func(r agent.PlannedRollout) bool { return r.Question != nil })
	later := slices.ContainsFunc(v.Rollouts, func(r agent.PlannedRollout) bool { return r.Later() })
	switch {
	case len(v.Blocked) > 0 || asks:
		return status(exitBlocked)
	case len(v.Changes) > 0 || later:
		return status(exitChanges)
	}
	return nil
}

// tip reads the newest plan into the temporary folder: the state directory's own
// clone belongs to whoever makes passes.
func (p *program) tip(ctx context.Context, set settings) (revision, error) {
	f, err := newFeed(set, set.inScratch(cloneDir))
	if err != nil {
		return revision{}, err
	}
	defer p.patience("reading " + f.name())()
	return f.Tip(ctx)
}

// likeDaemon takes the node from the daemon: a plan resolved for another one
// would have all that runs here removed.
func likeDaemon(ctx context.Context, set settings, c *agent.Client) (settings, error) {
	st, err := c.Status(ctx)
	if err != nil {
		return set, err
	}
	if set.nodeSet && set.Node != st.Node {
		return set, observed.Wrap("ask daemon", set.State, observed.Refused,
			fmt.Errorf("it looks after node %s, not %s", st.Node, set.Node), "give --node "+st.Node+", or the --state of the other node")
	}
	set.Node = st.Node
	return set, nil
}

// rehearse looks at the host and plays the pass in memory.
func (p *program) rehearse(ctx context.Context, set settings, plan *plans.Plan) (out previewResult, err error) {
	h, err := lookHost(set, plan, p.logger())
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	a, err := agent.New(h.config)
	if err != nil {
		return out, err
	}
	a.SetPlan(plan)
	defer p.patience("looking at the host")()
	out.Preview, err = a.DryRun(ctx, nil)
	out.Notes = h.notes
	return out, err
}
