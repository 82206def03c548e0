package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func (p *program) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain TENANT",
		Short: "Say why a tenant is as it is, and what happens next",
		Long: `explain says in sentences what is wanted of a tenant, what is seen, what was
decided and why, which way back there is, and what happens when; then how each
instance is, with the last output of those that are not well. -o json prints all
that is known.`,
		Example: `  reconcile explain acme
  reconcile explain acme -o json | jq .record.withheld`,
		Args:              exactly(1, "one tenant"),
		ValidArgsFunction: p.completeTenant,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			t, notes, done, err := p.ask(cmd.Context(), set)
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
			writeNotes(p.stderr, notes)
			writeExplanation(p.stdout, e)
			return nil
		},
	}
}

// writeExplanation tells the sentences of the core, then what is seen.
func writeExplanation(w io.Writer, e agent.Explanation) {
	for _, s := range reconcile.Explain(e.Report, e.Record) {
		fmt.Fprintln(w, s)
	}
	for _, a := range e.Doing {
		fmt.Fprintf(w, "Doing now: %s %s, because %s.\n", a.Verb, shortDigests(agent.Target(a)), a.Why)
	}
	if q := e.Report.Question; q != nil {
		fmt.Fprintf(w, "Answer it with: %s\n", howToAnswer(q.ID))
	}
	if len(e.Facts.Instances) > 0 {
		fmt.Fprintln(w, "\nInstances:")
	}
	var t table
	for i := range e.Facts.Instances {
		in := &e.Facts.Instances[i]
		t = append(t, []string{"  " + in.Key.String(), string(in.Phase), healthText(in), shortDigests(in.Image)})
	}
	t.write(w, 0)
	if p := e.Report.Problem; p != nil && p.Log != "" {
		fmt.Fprintln(w, "\nLast output of what failed:")
		for line := range strings.Lines(p.Log) {
			fmt.Fprintf(w, "  | %s\n", strings.TrimRight(line, "\n"))
		}
	}
	for _, name := range sortedNames(e.Log) {
		fmt.Fprintf(w, "\nLast output of %s:\n", name)
		for line := range strings.Lines(e.Log[name]) {
			fmt.Fprintf(w, "  | %s\n", strings.TrimRight(line, "\n"))
		}
	}
}

// healthText is what probes say of an instance.
func healthText(in *observed.Instance) string {
	switch {
	case in.Phase != observed.Running || in.Job:
		return "-"
	case in.Health.Err != nil:
		return in.Health.Err.Error()
	case in.Health.Verdict == observed.Unproven && in.Health.Last != "":
		return "not proved yet: " + in.Health.Last
	case in.Health.Last != "":
		return string(in.Health.Verdict) + ": " + in.Health.Last
	}
	return string(in.Health.Verdict)
}
