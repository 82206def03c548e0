package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
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
			if last < 0 {
				return usage{error: fmt.Errorf("--last: %d is no number of events", last), hint: "write one such as 20; without it, all"}
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
			none := true
			err = t.Events(cmd.Context(), q, follow, func(e journal.Logged) {
				none = false
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
			if err := errors.Join(err, failed); err != nil || !none || follow {
				return err
			}
			return p.missing(cmd.Context(), t, q)
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

// missing says on stderr that nobody knows the tenant or the rollout asked for: no
// events at all would look as if nothing had happened to it.
func (p *program) missing(ctx context.Context, t teller, q journal.Query) error {
	say := func(what, name, list string) error {
		fmt.Fprintf(p.stderr, "error: nothing of %s %s is in the journal\n  → `%s` lists them\n", what, name, list)
		return status(exitError)
	}
	told := func(q journal.Query) (any bool, err error) {
		q.Last = 1
		err = t.Events(ctx, q, false, func(journal.Logged) { any = true })
		return any, err
	}
	if q.Rollout != "" {
		if any, err := told(journal.Query{Rollout: q.Rollout}); any || err != nil {
			return err
		}
		list, err := t.Rollouts(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(r agent.RolloutView) bool { return r.ID == q.Rollout }) {
			return say("rollout", q.Rollout, "reconcile rollout list")
		}
	}
	if q.Tenant != "" {
		if any, err := told(journal.Query{Tenant: q.Tenant}); any || err != nil {
			return err
		}
		st, err := t.Status(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(st.Tenants, func(n agent.TenantStatus) bool { return n.Name == q.Tenant }) {
			return say("tenant", q.Tenant, "reconcile status")
		}
	}
	return nil
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
