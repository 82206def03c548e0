package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
)

func (p *program) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check plans against the schemas and the rules across documents",
		Long: `validate reads the plans of a folder (or of --plans, or of the repository's
newest commit), checks every document, and names each problem with its place
and what to do. It needs no host and changes nothing.`,
		Example: `  reconcile validate .
  reconcile validate . -o json`,
		Args: atMostOne("folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				set.Plans = args[0]
			}
			// A check of files is about all nodes, whatever this machine is.
			if !cmd.Flags().Changed("node") {
				set.Node = ""
			}
			return p.check(cmd.Context(), set)
		},
	}
}

// validation is what validate says, as JSON.
type validation struct {
	Valid    bool            `json:"valid"`
	Commit   string          `json:"commit,omitempty"`
	Fleet    string          `json:"fleet,omitempty"`
	Tenants  int             `json:"tenants"`
	Notes    []string        `json:"notes,omitempty"` // what holds, and is likely not meant
	Problems []plans.Problem `json:"problems"`
}

func (p *program) check(ctx context.Context, set settings) error {
	set, clean, err := set.scratched()
	if err != nil {
		return err
	}
	defer clean()
	rev, err := p.tip(ctx, set)
	var bad refusedPlan
	switch {
	case errors.As(err, &bad) && set.Output == "json":
		if err := p.json(validation{Commit: bad.commit.Hash, Problems: bad.problems}); err != nil {
			return err
		}
		return status(exitError)
	case err != nil:
		return err
	}
	v := validation{Valid: true, Commit: rev.Commit.Hash, Fleet: rev.Plan.Fleet, Tenants: len(rev.Plan.Tenants), Notes: rev.Plan.Notes(), Problems: []plans.Problem{}}
	if set.Output == "json" {
		return p.json(v)
	}
	fmt.Fprintf(p.stdout, "valid: fleet %s, %s\n", v.Fleet, counted(v.Tenants, "tenant"))
	writeNotes(p.stdout, v.Notes)
	return nil
}
