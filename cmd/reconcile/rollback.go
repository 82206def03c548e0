package main

import (
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
		Example: "  reconcile rollback acme --local",
		Args:    exactly(1, "one tenant"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			if !local {
				return usage{errors.New("rollback changes what git does not say: repeat it with --local, or revert the commit in git")}
			}
			if !set.AllowLocal {
				return observed.Wrap("roll back", args[0], observed.Refused, errors.New("this host takes orders from git alone"),
					"revert the commit in git; or set allowLocal: true in this host's configuration")
			}
			if c, ok := dial(cmd.Context(), set); ok {
				defer c.Close()
				if err := c.Rollback(cmd.Context(), args[0]); err != nil {
					return err
				}
				view := newPassView(p.stdout, p.stderr, set.Output)
				out, err := c.Pass(cmd.Context(), view.Line)
				if err != nil {
					return err
				}
				return p.rolledBack(view, set, args[0], out)
			}
			feed, err := newFeed(set)
			if err != nil {
				return err
			}
			plan, err := feed.inForce(cmd.Context())
			if err != nil {
				return err
			}
			view := newPassView(p.stdout, p.stderr, set.Output)
			defer view.Close()
			h, err := openHost(cmd.Context(), set, plan, hostOptions{Serve: true, Log: p.logger(set), Progress: view.Progress})
			if err != nil {
				return err
			}
			defer h.Close()
			h.config.Events = view.Event
			a, err := agent.New(h.config)
			if err != nil {
				return err
			}
			a.SetPlan(plan)
			if err := a.Rollback(args[0]); err != nil {
				return err
			}
			out, err := a.Pass(cmd.Context())
			if err != nil {
				return err
			}
			return p.rolledBack(view, set, args[0], out)
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "yes: by this host's word, not git's")
	return cmd
}

// rolledBack tells how it ended. That the tenant is heldBack afterwards is what
// was asked for and no failure.
func (p *program) rolledBack(view *passView, set settings, tenant string, out agent.Outcome) error {
	view.Close()
	if set.Output == "json" {
		return p.json(out)
	}
	for _, r := range out.Blocked {
		if r.Tenant == tenant {
			fmt.Fprintf(p.stdout, "%s: %s\n", tenant, r.Why)
			return nil
		}
	}
	for _, r := range out.Waiting {
		if r.Tenant == tenant {
			fmt.Fprintf(p.stdout, "%s: %s\n", tenant, r.Why)
			return status(exitError)
		}
	}
	fmt.Fprintf(p.stdout, "%s went back\n", tenant)
	return nil
}
