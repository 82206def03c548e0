package main

import (
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
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			t, notes, done, err := p.ask(cmd.Context(), set)
			if err != nil {
				return err
			}
			defer done()
			list, err := t.Drift(cmd.Context())
			if err != nil {
				return err
			}
			if set.Output == "json" {
				if err := p.json(list); err != nil {
					return err
				}
			} else {
				writeNotes(p.stderr, notes)
				writeDrift(p.stdout, list)
			}
			if len(list) > 0 {
				return status(exitChanges)
			}
			return nil
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
