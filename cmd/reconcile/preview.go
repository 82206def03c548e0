package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// preview is the dry-run: what a pass would do with the plan given.
func (p *program) preview(ctx context.Context, set settings) error {
	feed, err := newFeed(set)
	if err != nil {
		return err
	}
	rev, err := feed.Newest(ctx, "")
	if err != nil {
		return err
	}
	if rev.Behind != nil {
		// A dry-run is about the newest commit: that it would be refused, or
		// cannot be read, is its answer.
		return rev.Behind
	}
	out, err := p.rehearse(ctx, set, rev.Plan)
	if err != nil {
		return err
	}
	if set.Output == "json" {
		if err := p.json(out); err != nil {
			return err
		}
	} else {
		writePreview(p.stdout, out)
	}
	switch {
	case len(out.Blocked) > 0:
		return status(exitBlocked)
	case len(out.Changes) > 0:
		return status(exitChanges)
	}
	return nil
}

// rehearse asks the daemon what it would do with the plan, or looks itself.
func (p *program) rehearse(ctx context.Context, set settings, plan *plans.Plan) (agent.Preview, error) {
	if c, ok := dial(ctx, set); ok {
		defer c.Close()
		return c.DryRun(ctx, plan)
	}
	h, err := openHost(ctx, set, plan, hostOptions{Log: p.logger(set)})
	if err != nil {
		return agent.Preview{}, err
	}
	defer h.Close()
	a, err := agent.New(h.config)
	if err != nil {
		return agent.Preview{}, err
	}
	a.SetPlan(plan)
	return a.DryRun(ctx, nil)
}

func writePreview(w io.Writer, v agent.Preview) {
	for _, u := range v.Unseen {
		fmt.Fprintf(w, "cannot be seen, so what follows is a guess: %s\n", u)
		if u.Hint != "" {
			fmt.Fprintf(w, "  → %s\n", u.Hint)
		}
	}
	if len(v.Changes) == 0 && len(v.Blocked) == 0 {
		fmt.Fprintln(w, "No changes. What runs is what the plan says.")
		return
	}
	for _, c := range v.Changes {
		fmt.Fprintf(w, "%s %s  %s\n", glyph(c.Op), c.Tenant, c.Why)
		for _, a := range c.Actions {
			fmt.Fprintf(w, "    %-10s %-40s %s\n", a.Op, a.Target, a.Why)
		}
		if c.GivesUp != "" {
			fmt.Fprintf(w, "    gives up the way back to %s\n", c.GivesUp)
		}
		if c.Kept != "" {
			fmt.Fprintf(w, "    the way back is %s, kept until %s\n", c.Kept, c.Until.Local().Format("2006-01-02 15:04"))
		}
	}
	for _, port := range v.Ports {
		fmt.Fprintf(w, "port %d for %s %s\n", port.Port, port.Key, port.Name)
	}
	for _, r := range v.Blocked {
		fmt.Fprintf(w, "blocked  %s: %s\n", r.Tenant, r.Why)
	}
	fmt.Fprintf(w, "\n%d tenant(s) change, %d unchanged, %d blocked; at least %s of waiting\n",
		len(v.Changes), v.Summary["unchanged"], len(v.Blocked), v.Takes.Round(time.Second))
}

// glyphs of the words of change, as in diffs.
var glyphs = map[string]string{
	"add": "+", "replace": "±", "recreate": "∓", "update": "~", "flip": "⇄", "back": "←", "delete": "-", "keep": " ", "hold": "=",
}

func glyph(op string) string {
	if g, ok := glyphs[op]; ok {
		return g
	}
	return op
}
