package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"

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
		Args:              exactly(1, "one tenant"),
		ValidArgsFunction: p.completeTenant,
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
	set, done, err := set.scratched()
	if err != nil {
		return err
	}
	defer done()
	f, err := openFeed(set)
	if err != nil {
		return err
	}
	defer p.patience("reading " + f.name())()
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
	t := table{{"FIELD", "VALUE", "EFFECT", "FROM"}}
	for _, r := range out {
		value, err := json.Marshal(r.Value)
		if err != nil {
			return fmt.Errorf("render %s: %w", r.Path, err)
		}
		from := r.Layer
		if r.From.File != "" {
			from += fmt.Sprintf(" %s:%d:%d", r.From.File, r.From.Line, r.From.Column)
		}
		t = append(t, []string{schema.DisplayPath(r.Path), string(value), orDash(r.Effect), from})
	}
	t.write(p.stdout, 0)
	return nil
}

// explain says of each field of a tenant where it comes from.
func (f *feed) explain(ctx context.Context, tenant string) ([]plans.Field, error) {
	var (
		fsys   fs.FS
		hash   func(string) string
		commit string
	)
	if f.src == nil {
		root, err := os.OpenRoot(f.set.Plans)
		if err != nil {
			return nil, fmt.Errorf("read plans: %w", err)
		}
		defer root.Close()
		fsys = root.FS()
	} else {
		if commit = f.src.Accepted(); commit == "" {
			c, err := f.src.Fetch(ctx)
			if err != nil {
				return nil, err
			}
			commit = c.Hash
		}
		tree, err := f.src.Tree(commit)
		if err != nil {
			return nil, err
		}
		fsys, hash = tree, tree.Hash
	}
	docs, problems, err := f.documents(fsys, hash)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	var fields []plans.Field
	if len(problems) == 0 {
		fields, problems = plans.Explain(docs, tenant, f.options(fsys, commit))
	}
	if len(problems) > 0 {
		return nil, refusedPlan{what: "tenant " + tenant, problems: problems}
	}
	return fields, nil
}
