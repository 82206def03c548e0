package main

import (
	"fmt"

	"github.com/spf13/cobra"
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
			t, done, err := p.ask(cmd.Context(), set)
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
			} else if len(list) == 0 {
				fmt.Fprintln(p.stdout, "No drift. The host is as reconcile left it.")
			}
			for _, t := range list {
				for _, d := range t.Drift {
					if set.Output != "json" {
						fmt.Fprintf(p.stdout, "%s  %s  %s: %s\n", t.Tenant, d.Kind, d.What, d.Text)
					}
				}
			}
			if len(list) > 0 {
				return status(exitChanges)
			}
			return nil
		},
	}
}
