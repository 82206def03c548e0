package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

func (p *program) rollout() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout list | show ID | watch ID",
		Short: "Show how a change spreads over tenants, and what it waits for",
		Long: `rollout shows the changes that spread over many tenants by a BatchPolicy: those
under way, and the last few that were closed. An id may be shortened as far as it
is unique, and its "ro-" left out.`,
		Example: `  reconcile rollout list
  reconcile rollout show ro-1f3a2b
  reconcile rollout watch 1f3`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage{error: errors.New("say what: list, show ID or watch ID"), hint: "run `reconcile rollout list`"}
			}
			return usage{error: errors.New("rollout has no verb " + args[0] + ": it has list, show ID and watch ID"), hint: "run `reconcile rollout --help`"}
		},
		RunE: func(*cobra.Command, []string) error { return nil }, // Args never lets it come to this
	}
	cmd.AddCommand(p.rolloutList(), p.rolloutShow(), p.rolloutWatch())
	return cmd
}

func (p *program) rolloutList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the rollouts under way and the last closed ones, newest first",
		Long: `list shows each rollout in one line: its template, where it is, what became of
its tenants, when it ends if all goes well, and why it stands where it stands.`,
		Example: `  reconcile rollout list
  reconcile rollout list -o json | jq -r '.[] | select(.phase == "waiting") | .id'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return telling[[]agent.RolloutView]{
				ask:  func(ctx context.Context, t teller) ([]agent.RolloutView, error) { return t.Rollouts(ctx) },
				view: writeRollouts,
				exit: func(list []agent.RolloutView) error {
					for i := range list {
						if list[i].Question != nil {
							return status(exitBlocked)
						}
					}
					return nil
				},
			}.run(p, cmd)
		},
	}
}

func (p *program) rolloutShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one rollout: its batches, who is where, and what it waits for",
		Long: `show draws a rollout batch by batch: who is at the new release, on the way, still
to come, held, failed; those to come as they would be by the policy now. Then what
failed and why, and what is asked.`,
		Example: `  reconcile rollout show ro-1f3a2b
  reconcile rollout show 1f3 -o json | jq -r '.batches[].members[] | select(.class == "failed") | .tenant'`,
		Args:              exactly(1, "one rollout"),
		ValidArgsFunction: p.completeRollout,
		RunE: func(cmd *cobra.Command, args []string) error {
			return telling[agent.RolloutView]{
				ask:  func(ctx context.Context, t teller) (agent.RolloutView, error) { return findRollout(ctx, t, args[0]) },
				view: writeRollout,
				exit: rolloutExit,
			}.run(p, cmd)
		},
	}
}

// findRollout asks for the rollout whose id begins as given.
func findRollout(ctx context.Context, t teller, given string) (agent.RolloutView, error) {
	list, err := t.Rollouts(ctx)
	if err != nil {
		return agent.RolloutView{}, err
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	id, err := whole(ids, given, "rollout", "reconcile rollout list")
	if err != nil {
		return agent.RolloutView{}, err
	}
	return t.Rollout(ctx, id)
}

// rolloutExit is 3 while a rollout waits for a person's word.
func rolloutExit(v agent.RolloutView) error {
	if v.Question != nil {
		return status(exitBlocked)
	}
	return nil
}

// completeRollout completes the ids of rollouts.
func (p *program) completeRollout(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.complete(cmd, begun, rolloutIDs)
}

// rolloutIDs are those the daemon or the journal knows.
func rolloutIDs(ctx context.Context, set settings) (ids []string, err error) {
	if c, ok := dial(ctx, set); ok {
		defer c.Close()
		list, err := c.Rollouts(ctx)
		for i := range list {
			ids = append(ids, list[i].ID)
		}
		return ids, err
	}
	s, err := journal.OpenSnapshot(set.State)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	err = s.Each(journal.Rollouts, func(key string, _ []byte) error {
		if !strings.Contains(key, "/") { // those are members
			ids = append(ids, key)
		}
		return nil
	})
	return ids, err
}
