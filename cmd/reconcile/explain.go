package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func (p *program) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain TENANT",
		Short: "Say why a tenant is as it is, and what happens next",
		Long: `explain says in sentences what is wanted of a tenant, what is seen, what was
decided and why, which way back there is, and what happens when. -o json prints
all that is known.`,
		Example: "  reconcile explain acme",
		Args:    exactly(1, "one tenant"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			t, done, err := p.ask(cmd.Context(), set)
			if err != nil {
				return err
			}
			defer done()
			e, err := t.Explain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if set.Output == "json" {
				return p.json(e)
			}
			writeExplanation(p.stdout, e)
			return nil
		},
	}
}

func writeExplanation(w io.Writer, e agent.Explanation) {
	fmt.Fprintln(w, e.Report.Tenant, e.Report.State, e.Report.Why, e.Report.Next)
	for i := range e.Facts.Instances {
		in := &e.Facts.Instances[i]
		text := string(in.Phase)
		if in.Health.Last != "" {
			text += ", " + in.Health.Last
		}
		fmt.Fprintf(w, "  %s/%s: %s\n", in.Slot, in.Service, text)
	}
	for _, name := range sortedNames(e.Log) {
		fmt.Fprintf(w, "last output of %s:\n", name)
		for line := range strings.Lines(e.Log[name]) {
			fmt.Fprintf(w, "  | %s\n", strings.TrimRight(line, "\n"))
		}
	}
	for _, a := range e.Doing {
		fmt.Fprintf(w, "doing now: %s %s, because %s\n", a.Verb, agent.Target(a), a.Why)
	}
}
