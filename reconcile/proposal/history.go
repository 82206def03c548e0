package proposal

import (
	"context"
	"errors"
	"iter"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// versions are the commits on the way back from one, along first parents, that
// changed the plan's folder: newest first, each the one that brought its version.
func (c *Clone) versions(ctx context.Context, from string) iter.Seq2[*object.Commit, error] {
	return func(yield func(*object.Commit, error) bool) {
		commit, err := c.repo.CommitObject(plumbing.NewHash(from))
		for err == nil && ctx.Err() == nil {
			var parent *object.Commit
			if commit.NumParents() > 0 {
				parent, err = commit.Parent(0)
				if errors.Is(err, plumbing.ErrObjectNotFound) {
					err = refused("read history", commit.Hash.String(), errors.New("the clone ends here: it is shallow"), "git fetch --unshallow")
				}
				if err != nil {
					break
				}
			}
			if parent == nil || c.folder(parent) != c.folder(commit) {
				if !yield(commit, nil) {
					return
				}
			}
			if parent == nil {
				return
			}
			commit = parent
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		yield(nil, err)
	}
}

// folder names the content of the plan's folder at a commit, zero if it is not
// there.
func (c *Clone) folder(commit *object.Commit) plumbing.Hash {
	if c.cfg.Path == "" {
		return commit.TreeHash
	}
	tree, err := commit.Tree()
	if err != nil {
		return plumbing.ZeroHash
	}
	e, err := tree.FindEntry(c.cfg.Path)
	if err != nil {
		return plumbing.ZeroHash
	}
	return e.Hash
}
