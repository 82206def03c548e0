package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func (p *program) rollback() *cobra.Command {
	var local bool
	cmd := &cobra.Command{
		Use:   "rollback TENANT --local",
		Short: "Send one tenant back to what it ran before, on this host's word",
		Long: `rollback sends a tenant back to the generation it ran before, which is still on
the host: no waiting, no network, and no version to look up. The release it
leaves is withheld from it until the plan names another one. git still names
that release, so follow up with a revert there.

--local says that you know this; the host's configuration must allow it
(allowLocal: true).`,
		Example:           "  reconcile rollback acme --local",
		Args:              exactly(1, "one tenant"),
		ValidArgsFunction: p.completeTenant,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			if !local {
				return usage{error: errors.New("rollback changes what git does not say: repeat it with --local, or revert the commit in git"), hint: helpOf(cmd)}
			}
			if !set.AllowLocal {
				return observed.Wrap("roll back", args[0], observed.Refused, errors.New("this host takes orders from git alone"),
					"revert the commit in git; or set allowLocal: true in this host's configuration")
			}
			if c, ok := dial(cmd.Context(), set); ok {
				defer c.Close()
				return p.rollbackByDaemon(cmd.Context(), set, args[0], c)
			}
			return p.rollbackHere(cmd.Context(), set, args[0])
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "yes: by this host's word, not git's")
	return cmd
}

func (p *program) rollbackByDaemon(ctx context.Context, set settings, tenant string, c *agent.Client) error {
	before, err := c.Explain(ctx, tenant)
	if err != nil {
		return err
	}
	if err := hasWayBack(before); err != nil {
		return err
	}
	if err := c.Rollback(ctx, tenant); err != nil {
		return err
	}
	view := newPassView(p.stdout, p.stderr, set.Output)
	defer view.Close()
	p.passing = "the daemon goes on with it"
	out, err := c.Pass(ctx, view.Line)
	if err != nil {
		return err
	}
	after, err := c.Explain(ctx, tenant)
	if err != nil {
		return err
	}
	return p.rolledBack(view, set, before, after, out)
}

func (p *program) rollbackHere(ctx context.Context, set settings, tenant string) error {
	feed, err := newFeed(set, set.at(cloneDir))
	if err != nil {
		return denied("open state", set.State, err)
	}
	rev, err := feed.inForce(ctx)
	if err != nil {
		return err
	}
	view := newPassView(p.stdout, p.stderr, set.Output)
	defer view.Close()
	h, err := openHost(ctx, set, rev.Plan, hostOptions{Log: p.logger(), Progress: view.Progress})
	if err != nil {
		return err
	}
	defer h.Close()
	h.config.Events = view.Event
	a, err := agent.New(h.config)
	if err != nil {
		return err
	}
	a.SetPlan(rev.Plan)
	before, err := a.Explain(tenant)
	if err != nil {
		return err
	}
	if err := hasWayBack(before); err != nil {
		return err
	}
	if err := a.Rollback(tenant); err != nil {
		return err
	}
	p.passing = "what was under way is looked at again by the next pass"
	out, err := a.Pass(ctx)
	if err != nil {
		return err
	}
	after, err := a.Explain(tenant)
	if err != nil {
		return err
	}
	return p.rolledBack(view, set, before, after, out)
}

// hasWayBack refuses where nothing is kept to go back to.
func hasWayBack(e agent.Explanation) error {
	kept, attempt := e.Record.Kept, e.Record.Attempt
	if kept != nil && kept.Baked || attempt != nil && !attempt.Back {
		return nil
	}
	return observed.Wrap("roll back", e.Status.Name, observed.Refused, errors.New("no earlier version is kept on this host"),
		"revert the commit in git; `reconcile explain "+e.Status.Name+"` says what is kept and how long")
}

// rollbackResult is what a rollback came to, as JSON.
type rollbackResult struct {
	Tenant string `json:"tenant"`
	// From and To are the generations that served before and serve now.
	From string `json:"from"`
	To   string `json:"to"`
	// RolledBack says that the tenant left what it ran.
	RolledBack bool   `json:"rolledBack"`
	Why        string `json:"why"`
	agent.Outcome
}

// rolledBack tells how it ended. That the tenant is heldBack afterwards is what
// was asked for and no failure.
func (p *program) rolledBack(view *passView, set settings, before, after agent.Explanation, out agent.Outcome) error {
	view.Close()
	r := rollbackResult{Tenant: after.Status.Name, From: generationOf(before), To: generationOf(after), Why: after.Report.Why, Outcome: out}
	// An attempt that was given up never served: then what serves is the same.
	r.RolledBack = r.From != r.To || before.Record.Attempt != nil && after.Record.Attempt == nil
	if set.Output == "json" {
		if err := p.json(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(p.stdout, "%s: %s\n", r.Tenant, r.Why)
		if r.RolledBack {
			fmt.Fprintf(p.stdout, "%s is back on %s; git still names what it left, so revert it there too\n", r.Tenant, orDash(generation(r.To)))
		} else {
			fmt.Fprintf(p.stdout, "%s did not go back\n  → reconcile explain %s\n", r.Tenant, r.Tenant)
		}
	}
	if !r.RolledBack {
		return status(exitError)
	}
	return nil
}

func generationOf(e agent.Explanation) string {
	if e.Record.Current == nil {
		return ""
	}
	return e.Record.Current.Generation
}
