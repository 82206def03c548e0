package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/schema"
)

func (p *program) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema KIND",
		Short: "Print the JSON Schema of a kind of document",
		Long: `schema prints the JSON Schema that documents of a kind are checked against, for
editors and other checkers. Kinds: ` + strings.Join(schema.Kinds(), ", ") + `.`,
		Example:   "  reconcile schema Tenant > tenant.schema.json",
		Args:      exactly(1, "one kind: "+strings.Join(schema.Kinds(), ", ")),
		ValidArgs: schema.Kinds(),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := schema.JSON(args[0])
			if err != nil {
				return usage{error: err}
			}
			_, err = fmt.Fprintln(p.stdout, strings.TrimSpace(string(b)))
			return err
		},
	}
}
