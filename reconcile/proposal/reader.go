package proposal

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/source"
	"github.com/gitops-fleet/reconcile/schema"
)

// reader resolves what commits say of a few tenants.
type reader struct {
	clone *Clone
	cache schema.Cache
}

// errRefused says that the plan of a commit does not hold.
var errRefused = errors.New("the plan of this commit is refused")

// documents are those of a commit, and its files.
func (r *reader) documents(hash string) ([]plans.Document, *source.Tree, error) {
	tree, err := r.clone.source.Tree(hash)
	if err != nil {
		return nil, nil, err
	}
	docs, problems, err := schema.Load(tree, schema.Options{Cache: &r.cache, Hash: tree.Hash})
	if err != nil {
		return nil, nil, fmt.Errorf("read plan: %w", err)
	}
	if len(problems) > 0 {
		return nil, nil, fmt.Errorf("%w: %s:%d: %s", errRefused, problems[0].Pos.File, problems[0].Pos.Line, problems[0].Text)
	}
	return docs, tree, nil
}

// plan resolves the plan of a commit for all nodes; of its tenants only the
// named ones, or all where none is named.
func (r *reader) plan(hash string, tenants ...string) (*plans.Plan, error) {
	docs, tree, err := r.documents(hash)
	if err != nil {
		return nil, err
	}
	if len(tenants) > 0 {
		wanted := map[string]bool{}
		for _, t := range tenants {
			wanted[t] = true
		}
		var few []plans.Document
		for _, d := range docs {
			if d.Kind != plans.KindTenant || wanted[d.Name] {
				few = append(few, d)
			}
		}
		docs = few
	}
	plan, problems := plans.Resolve(docs, plans.Options{Commit: hash,
		File: func(path string) ([]byte, error) { return fs.ReadFile(tree, path) }})
	if len(problems) > 0 {
		return nil, fmt.Errorf("%w: %s:%d: %s", errRefused, problems[0].Pos.File, problems[0].Pos.Line, problems[0].Text)
	}
	return plan, nil
}
