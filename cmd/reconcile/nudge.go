package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (p *program) nudge() *cobra.Command {
	return &cobra.Command{
		Use:   "nudge",
		Short: "Tell the daemon to look at the repository and the host now",
		Long: `nudge makes a running daemon read the repository and look at everything at once,
as SIGHUP does. A webhook may call it: many nudges make one look.`,
		Example: "  reconcile nudge",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			c, ok := dial(cmd.Context(), set)
			if !ok {
				return noDaemon(set)
			}
			defer c.Close()
			if err := c.Nudge(cmd.Context()); err != nil {
				return err
			}
			if set.Output == "json" {
				return p.json(struct {
					Nudged bool `json:"nudged"`
				}{true})
			}
			fmt.Fprintln(p.stdout, "the daemon looks at the repository and the host now")
			return nil
		},
	}
}

func noDaemon(set settings) error {
	return observed.Wrap("ask daemon", set.State, observed.Refused, errors.New("no daemon runs on this state directory"),
		"start one with `reconcile run`, or make one pass with `reconcile`")
}

func noTenant(name string) error {
	return observed.Wrap("find tenant", name, observed.Refused, errors.New("there is no such tenant on this node"), "`reconcile status` lists them")
}
