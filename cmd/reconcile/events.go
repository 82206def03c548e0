package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

func (p *program) events() *cobra.Command {
	var (
		follow                 bool
		tenant, rollout, since string
		last                   int
	)
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened",
		Long: `events prints what the journal holds, oldest first: one line each, or with -o json
one JSON object a line. Names of events are stable.`,
		Example: `  reconcile events --tenant acme --since 1h
  reconcile events -f
  reconcile events --rollout ro-1f3a2b
  reconcile events -o json | jq 'select(.kind == "tenant.failed")'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			q := journal.Query{Tenant: tenant, Last: last}
			if since != "" {
				d, err := plans.ParseDuration(since)
				if err != nil {
					return usage{error: fmt.Errorf("--since: %w", err)}
				}
				q.Since = time.Now().Add(-d.Std())
			}
			q.Rollout = rolloutOfEvents(cmd.Context(), set, rollout)
			t, _, done, err := p.ask(cmd.Context(), set)
			if err != nil {
				return err
			}
			defer done()
			var failed error
			err = t.Events(cmd.Context(), q, follow, func(e journal.Logged) {
				if set.Output != "json" {
					_, err := fmt.Fprintln(p.stdout, eventLine(e.Event))
					failed = errors.Join(failed, err)
					return
				}
				b, err := json.Marshal(e)
				if err == nil {
					_, err = fmt.Fprintln(p.stdout, string(b))
				}
				failed = errors.Join(failed, err)
			})
			if cmd.Context().Err() != nil {
				return context.Cause(cmd.Context())
			}
			return errors.Join(err, failed)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until interrupted")
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this tenant's")
	cmd.Flags().StringVar(&rollout, "rollout", "", "only this rollout's")
	cmd.Flags().StringVar(&since, "since", "", "only those of the last time, such as 1h or 2d")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("tenant", p.completeTenant))
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("rollout", p.completeRollout))
	cmd.Flags().IntVar(&last, "last", 0, "only the last so many")
	return cmd
}

// rolloutOfEvents is the rollout whose id begins as given. The log remembers
// rollouts for longer than they are listed, so that any other id is taken whole.
func rolloutOfEvents(ctx context.Context, set settings, given string) string {
	if given == "" {
		return ""
	}
	ids, err := rolloutIDs(ctx, set)
	if err != nil {
		return given
	}
	if id, err := whole(ids, given, "rollout", "reconcile rollout list"); err == nil {
		return id
	}
	return given
}
