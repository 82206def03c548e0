package proposal

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Draft is a commit that was made and is on no branch yet.
type Draft struct {
	Hash    string
	Branch  string
	Parent  string
	Changes []Change

	exists bool // the branch is there already
}

// Base is the commit that a proposal on a branch is made on top of: the branch
// itself where there is one, which must hold all that the hosts follow; else
// what the hosts follow.
func (c *Clone) Base(branch string) (hash string, exists bool, err error) {
	name := plumbing.NewBranchReferenceName(branch)
	if err := name.Validate(); err != nil {
		return "", false, refused("make branch", branch, err, "give --branch another name")
	}
	ref, err := c.repo.Reference(name, true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return c.tip.Hash.String(), false, nil
	}
	if err != nil {
		return "", false, refused("read branch", branch, err, "")
	}
	tip, err := c.repo.CommitObject(ref.Hash())
	if err != nil {
		return "", false, refused("read branch", branch, err, "")
	}
	if ok, err := c.tip.IsAncestor(tip); err != nil || !ok {
		return "", false, refused("commit on branch", branch, errors.Join(fmt.Errorf("it does not hold all of %s", c.from.Short()), err),
			"bring it up to date (git merge "+c.from.Short()+"), remove it (git branch -D "+branch+"), or give --branch another name")
	}
	return tip.Hash.String(), true, nil
}

// Draft makes a commit with the changes on top of the base of a branch. Nothing
// is on disk before Keep.
func (c *Clone) Draft(ctx context.Context, branch string, changes []Change, message string) (Draft, error) {
	base, exists, err := c.Base(branch)
	if err != nil {
		return Draft{}, err
	}
	parent, err := c.repo.CommitObject(plumbing.NewHash(base))
	if err != nil {
		return Draft{}, refused("read commit", base, err, "")
	}
	tree, err := parent.Tree()
	if err != nil {
		return Draft{}, refused("read commit", base, err, "")
	}
	next, err := c.editTree(tree, changes)
	if err != nil {
		return Draft{}, refused("make commit", branch, err, "")
	}
	now := time.Now()
	author, err := c.identity(ctx, "AUTHOR", now)
	if err != nil {
		return Draft{}, err
	}
	committer, err := c.identity(ctx, "COMMITTER", now)
	if err != nil {
		return Draft{}, err
	}
	commit := &object.Commit{Author: author, Committer: committer, Message: message, TreeHash: next, ParentHashes: []plumbing.Hash{parent.Hash}}
	obj := c.drafts.NewEncodedObject()
	if err := commit.Encode(obj); err != nil {
		return Draft{}, refused("make commit", branch, err, "")
	}
	hash, err := c.drafts.SetEncodedObject(obj)
	if err != nil {
		return Draft{}, refused("make commit", branch, err, "")
	}
	return Draft{Hash: hash.String(), Branch: branch, Parent: base, Changes: changes, exists: exists}, nil
}

// Diff is what a draft changes, as git prints it.
func (c *Clone) Diff(ctx context.Context, d Draft) (string, error) {
	var trees [2]*object.Tree
	for i, hash := range []string{d.Parent, d.Hash} {
		commit, err := c.repo.CommitObject(plumbing.NewHash(hash))
		if err != nil {
			return "", refused("read commit", hash, err, "")
		}
		if trees[i], err = commit.Tree(); err != nil {
			return "", refused("read commit", hash, err, "")
		}
	}
	patch, err := trees[0].PatchContext(ctx, trees[1])
	if err != nil {
		return "", refused("compare commits", d.Hash, err, "")
	}
	return patch.String(), nil
}

// Keep puts a draft on its branch. Where that is checked out, its files follow;
// if one of them holds work that was not committed, nothing is done.
func (c *Clone) Keep(d Draft) error {
	name := plumbing.NewBranchReferenceName(d.Branch)
	if folder := c.checkedOutElsewhere(name); folder != "" {
		return refused("commit on branch", d.Branch, fmt.Errorf("it is checked out in %s", folder), "work there with --dir "+folder+", or give --branch another name")
	}
	here, err := c.checkedOut(name)
	if err != nil {
		return err
	}
	if here {
		if err := c.unchanged(d); err != nil {
			return err
		}
	}
	objects, err := c.drafts.IterEncodedObjects(plumbing.AnyObject)
	if err != nil {
		return refused("write commit", d.Hash, err, "")
	}
	err = objects.ForEach(func(o plumbing.EncodedObject) error {
		_, err := c.kept.SetEncodedObject(o)
		return err
	})
	if err != nil {
		return refused("write commit", d.Hash, err, "check the owner of the clone, and the space left")
	}
	var old *plumbing.Reference
	if d.exists {
		old = plumbing.NewHashReference(name, plumbing.NewHash(d.Parent))
	}
	if err := c.kept.CheckAndSetReference(plumbing.NewHashReference(name, plumbing.NewHash(d.Hash)), old); err != nil {
		return refused("move branch", d.Branch, err, "somebody else moved it just now: try again")
	}
	if here {
		return c.follow(d)
	}
	return nil
}

// Push sends a branch to the remote.
func (c *Clone) Push(ctx context.Context, branch string) error {
	if c.remote == "" {
		return refused("push", branch, errors.New("the clone has no remote"), "its hosts follow this repository itself: merge the branch here")
	}
	ref := plumbing.NewBranchReferenceName(branch).String()
	if _, err := c.git(ctx, "push", "--quiet", c.remote, ref+":"+ref); err != nil {
		return refused("push", branch, err, "the commit is in this clone: git push "+c.remote+" "+branch)
	}
	return nil
}

// plan is the path of a plan's file from the top of the repository.
func (c *Clone) plan(file string) string { return path.Join(c.cfg.Path, file) }
