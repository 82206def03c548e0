package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// completeLimit bounds how long a shell waits for names.
const completeLimit = 2 * time.Second

// completeTenant completes the names of tenants: those of a working tree if one
// is named, else those the daemon or the journal knows.
func (p *program) completeTenant(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.complete(cmd, begun, tenantNames)
}

// complete completes the names that are found within what a shell waits.
func (p *program) complete(cmd *cobra.Command, begun string, find func(context.Context, settings) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	set, err := load(cmd.Flags(), p.env)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeLimit)
	defer cancel()
	names, err := find(ctx, set)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, begun) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

func tenantNames(ctx context.Context, set settings) (names []string, err error) {
	if set.Plans != "" {
		f, err := newFeed(set, "")
		if err != nil {
			return nil, err
		}
		plan, err := f.tree()
		if err != nil {
			return nil, err
		}
		for i := range plan.Tenants {
			names = append(names, plan.Tenants[i].Name)
		}
		return names, nil
	}
	if c, ok := dial(ctx, set); ok {
		defer c.Close()
		st, err := c.Status(ctx)
		for i := range st.Tenants {
			names = append(names, st.Tenants[i].Name)
		}
		return names, err
	}
	s, err := journal.OpenSnapshot(set.State)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	err = s.Each(journal.Tenants, func(name string, _ []byte) error {
		names = append(names, name)
		return nil
	})
	return names, err
}

// completeFlags completes the values of flags that have few.
func completeFlags(root *cobra.Command) {
	for flag, values := range map[string][]string{"output": {"text", "json"}, "runtime": {"docker", "process"}} {
		cobra.CheckErr(root.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
	}
	for _, flag := range []string{"plans", "state"} {
		cobra.CheckErr(root.MarkPersistentFlagDirname(flag))
	}
}
