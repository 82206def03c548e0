package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func (p *program) rollback() *cobra.Command {
	var (
		local, dry            bool
		rollout, reason, data string
	)
	cmd := &cobra.Command{
		Use:   "rollback TENANT [--data SNAPSHOT] | --rollout ID --local",
		Short: "Send a tenant, or all of a rollout, back to what ran before, on this host's word",
		Long: `rollback sends a tenant back to the generation it ran before, which is still on
the host: no waiting, no network, and no version to look up. The release it
leaves is withheld from it until the plan names another one. git still names
that release, so follow up with ` + "`reconcile revert`" + ` there.

--rollout ID sends every tenant back that the rollout moved, all at once, and
closes it; it works while the rollout is under way and after it was completed.

--data SNAPSHOT sends the data of a tenant back to a snapshot that
` + "`reconcile data`" + ` lists, with all volumes of it that were snapshotted in the
same act: a clone of it serves, and the data of now are kept aside. It says first
how much was written since. Without --local it only asks: the question waits for
a decision in git.

--dry-run says where it would lead and what it would leave behind, and does nothing.

--local says that you know this; the host's configuration must allow it
(allowLocal: true).`,
		Example: `  reconcile rollback acme --dry-run
  reconcile rollback acme --local
  reconcile rollback acme --data acme.data.blue-origin.a7-4c1d --dry-run
  reconcile rollback acme --data acme.data.blue-origin.a7-4c1d --local
  reconcile rollback --rollout ro-1f3a2b --local --reason "5xx on login"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (rollout != "") || len(args) > 1 {
				return usage{error: errors.New("give one tenant, or --rollout and its id"), hint: helpOf(cmd)}
			}
			return nil
		},
		ValidArgsFunction: p.completeTenant,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			switch {
			case data != "" && rollout != "":
				return usage{error: errors.New("--data is of one tenant, and --rollout of many"), hint: helpOf(cmd)}
			case data != "":
				return p.rollBackData(cmd.Context(), set, args[0], data, local, dry)
			case dry && rollout != "":
				return usage{error: errors.New("--dry-run is of one tenant; `reconcile rollout show " + rollout + "` says who is where"), hint: helpOf(cmd)}
			case dry:
				return p.rollbackForeseen(cmd.Context(), set, args[0])
			}
			if !local {
				return usage{error: errors.New("rollback changes what git does not say: repeat it with --local, or revert the commit in git"), hint: helpOf(cmd)}
			}
			what := append(args, "--rollout "+rollout)[0]
			if !set.AllowLocal {
				return localRefused("roll back", what, "`reconcile revert "+what+"` makes the revert in a clone of the plans")
			}
			if rollout != "" {
				return p.rollBackRollout(cmd.Context(), set, rollout, reason)
			}
			if c, ok := dial(cmd.Context(), set); ok {
				defer c.Close()
				return p.rollbackByDaemon(cmd.Context(), set, args[0], c)
			}
			return p.rollbackHere(cmd.Context(), set, args[0])
		},
	}
	cmd.Flags().BoolVar(&local, "local", false, "yes: by this host's word, not git's")
	cmd.Flags().StringVar(&rollout, "rollout", "", "send all back that this rollout moved")
	cmd.Flags().StringVar(&data, "data", "", "send the data back to this snapshot")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what it would lead to and leave behind, and change nothing (of a tenant)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever reads it later (of a rollout)")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("rollout", p.completeRollout))
	return cmd
}

// rollbackForeseen says what a rollback of a tenant would lead to.
func (p *program) rollbackForeseen(ctx context.Context, set settings, tenant string) error {
	t, _, done, err := p.ask(ctx, set)
	if err != nil {
		return err
	}
	defer done()
	e, err := t.Explain(ctx, tenant)
	if err != nil {
		return err
	}
	if err := hasWayBack(e); err != nil {
		return err
	}
	r := foreseen{Tenant: tenant, From: generationOf(e), Also: e.Record.AlsoBack(), Leaves: e.Record.WayBackCost()}
	switch rec := e.Record; {
	case rec.Attempt != nil && rec.Current != nil: // it is undone
		r.To, r.Slot = rec.Current.Generation, rec.Current.Slot
	case rec.Past != nil && rec.Past.To == rec.Target:
		r.To, r.Slot = rec.Past.Generation, rec.Past.Slot
	case rec.Kept != nil:
		r.To, r.Slot = rec.Kept.Generation, rec.Kept.Slot
	}
	if set.Output == "json" {
		return p.json(r)
	}
	if e.Record.Attempt != nil {
		fmt.Fprintf(p.stdout, "%s: what is under way is undone; %s goes on serving\n", tenant, orDash(generation(r.To)))
		return nil
	}
	if r.From == r.To {
		fmt.Fprintf(p.stdout, "%s: goes back, and %s in %s goes on serving\n", tenant, generation(r.To), r.Slot)
	} else {
		fmt.Fprintf(p.stdout, "%s: goes back from %s to %s in %s\n", tenant, orDash(generation(r.From)), generation(r.To), r.Slot)
	}
	for _, line := range append(r.Also, r.Leaves...) {
		fmt.Fprintf(p.stdout, "  %s\n", line)
	}
	return nil
}

// foreseen is what a rollback of a tenant would lead to, as JSON.
type foreseen struct {
	Tenant string     `json:"tenant"`
	From   string     `json:"from"`
	To     string     `json:"to"`
	Slot   plans.Slot `json:"slot,omitempty"`
	// Also says what else goes back, or away.
	Also []string `json:"also,omitempty"`
	// Leaves says what of the data the version it goes back to does not have.
	Leaves []string `json:"leaves,omitempty"`
}

// tellCost says before a way back what it costs.
func (p *program) tellCost(set settings, e agent.Explanation) {
	if set.Output == "json" || e.Record.Attempt != nil {
		return
	}
	for _, line := range e.Record.WayBackCost() {
		fmt.Fprintf(p.stdout, "%s: %s\n", e.Status.Name, line)
	}
}

func (p *program) rollbackByDaemon(ctx context.Context, set settings, tenant string, c *agent.Client) error {
	before, err := c.Explain(ctx, tenant)
	if err != nil {
		return err
	}
	if err := hasWayBack(before); err != nil {
		return err
	}
	p.tellCost(set, before)
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
	return p.orderHere(ctx, set, func(a *agent.Agent, view *passView) error {
		before, err := a.Explain(tenant)
		if err != nil {
			return err
		}
		if err := hasWayBack(before); err != nil {
			return err
		}
		p.tellCost(set, before)
		if err := a.Rollback(tenant); err != nil {
			return err
		}
		out, err := a.Pass(ctx)
		if err != nil {
			return err
		}
		after, err := a.Explain(tenant)
		if err != nil {
			return err
		}
		return p.rolledBack(view, set, before, after, out)
	})
}

// hasWayBack refuses where nothing is kept to go back to.
func hasWayBack(e agent.Explanation) error {
	kept, attempt, past := e.Record.Kept, e.Record.Attempt, e.Record.Past
	why := e.Report.OneWay
	switch {
	case attempt != nil && !attempt.Back:
		return nil
	case why == "" && (kept != nil && kept.Baked || past != nil):
		return nil
	case why == "":
		why = "no earlier version is kept on this host"
	}
	return observed.Wrap("roll back", e.Status.Name, observed.Refused, errors.New(why),
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
	r.RolledBack = r.From != r.To || before.Record.Attempt != nil && after.Record.Attempt == nil ||
		after.Report.Restored && !before.Report.Restored // only what is beside the core, or not in it, went back
	if w := after.Record.Past; w != nil && w.Stuck != "" {
		r.RolledBack = false // not whole
	}
	if set.Output == "json" {
		if err := p.json(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(p.stdout, "%s: %s\n", r.Tenant, r.Why)
		if r.RolledBack {
			fmt.Fprintf(p.stdout, "%s is back on %s; git still names what it left, so revert it there too\n", r.Tenant, orDash(generation(r.To)))
		} else if r.From != r.To {
			fmt.Fprintf(p.stdout, "%s is on %s again, and not all of it is back\n  → reconcile explain %s\n", r.Tenant, orDash(generation(r.To)), r.Tenant)
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
