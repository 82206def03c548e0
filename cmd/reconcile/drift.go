package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func (p *program) drift() *cobra.Command {
	return &cobra.Command{
		Use:   "drift",
		Short: "Show where the host moved without the plan",
		Long: `drift lists what somebody or something changed on the host while the plan did
not: a container that was removed or stopped, a route edited by hand, a secret
file changed under the same version. What the plan changed is not drift. Exit
status 2 says that there is some.`,
		Example: "  reconcile drift\n  reconcile drift -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return telling[[]agent.TenantDrift]{
				ask:  func(ctx context.Context, t teller) ([]agent.TenantDrift, error) { return t.Drift(ctx) },
				view: func(w io.Writer, list []agent.TenantDrift, _ screen) { writeDrift(w, list) },
				exit: some[agent.TenantDrift](exitChanges),
			}.run(p, cmd)
		},
	}
}

func writeDrift(w io.Writer, list []agent.TenantDrift) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No drift. The host is as reconcile left it.")
		return
	}
	t := table{{"TENANT", "KIND", "WHAT", "TEXT"}}
	for _, tenant := range list {
		for _, d := range tenant.Drift {
			t = append(t, []string{tenant.Tenant, string(d.Kind), d.What, d.Text})
		}
	}
	t.write(w, 0)
}
