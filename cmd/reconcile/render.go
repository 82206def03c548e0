package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

func (p *program) render() *cobra.Command {
	return &cobra.Command{
		Use:   "render TENANT",
		Short: "Show a tenant's resolved plan, and where each value comes from",
		Long: `render prints every field of a tenant after defaults, Fleet, Template, Tenant and
slot overrides are merged: its value, the place it comes from, and its effect.

  replace  part of the generation: changing it makes a new slot
  live     changed in place
  policy   read when it is next needed; changing it does nothing by itself`,
		Example: `  reconcile render acme --plans .
  reconcile render acme -o json`,
		Args: exactly(1, "one tenant"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			return p.renderTenant(cmd.Context(), set, args[0])
		},
	}
}

// rendered is one field, as JSON.
type rendered struct {
	plans.Field
	Effect string `json:"effect"`
}

func (p *program) renderTenant(ctx context.Context, set settings, name string) error {
	f, err := newFeed(set)
	if err != nil {
		return err
	}
	fields, err := f.explain(ctx, name)
	if err != nil {
		return err
	}
	out := make([]rendered, len(fields))
	for i, field := range fields {
		out[i] = rendered{field, schema.Effect(string(plans.KindTenant), field.Path)}
	}
	if set.Output == "json" {
		return p.json(struct {
			Tenant string     `json:"tenant"`
			Fields []rendered `json:"fields"`
		}{name, out})
	}
	t := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FIELD\tVALUE\tEFFECT\tFROM")
	for _, r := range out {
		value, err := json.Marshal(r.Value)
		if err != nil {
			return fmt.Errorf("render %s: %w", r.Path, err)
		}
		from := r.Layer
		if r.From.File != "" {
			from += fmt.Sprintf(" %s:%d:%d", r.From.File, r.From.Line, r.From.Column)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", schema.DisplayPath(r.Path), value, orDash(r.Effect), from)
	}
	return t.Flush()
}
