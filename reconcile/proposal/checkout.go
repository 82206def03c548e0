package proposal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// checkedOut says that the clone's own work tree is on the branch.
func (c *Clone) checkedOut(branch plumbing.ReferenceName) (bool, error) {
	head, err := c.repo.Reference(plumbing.HEAD, false)
	if err != nil {
		return false, refused("read branch", "HEAD", err, "")
	}
	return c.tree != nil && head.Type() == plumbing.SymbolicReference && head.Target() == branch, nil
}

// checkedOutElsewhere is the folder of another work tree of the same repository
// that is on the branch, "" if none is: moving the branch under it would make
// all it holds look changed.
func (c *Clone) checkedOutElsewhere(branch plumbing.ReferenceName) string {
	own := filepath.Join(c.Dir(), ".git")
	common := own
	if st, err := os.Lstat(own); err == nil && st.Mode().IsRegular() { // we are in a linked one
		linked, err := os.ReadFile(own)
		if err != nil {
			return ""
		}
		own = strings.TrimSpace(strings.TrimPrefix(string(linked), "gitdir:"))
		common = filepath.Dir(filepath.Dir(own))
		if onBranch(filepath.Join(common, "HEAD"), branch) {
			return filepath.Dir(common)
		}
	}
	others, err := filepath.Glob(filepath.Join(common, "worktrees", "*"))
	if err != nil {
		return ""
	}
	for _, other := range others {
		if other != own && onBranch(filepath.Join(other, "HEAD"), branch) {
			if at, err := os.ReadFile(filepath.Join(other, "gitdir")); err == nil {
				return filepath.Dir(strings.TrimSpace(string(at)))
			}
			return other
		}
	}
	return ""
}

func onBranch(head string, branch plumbing.ReferenceName) bool {
	text, err := os.ReadFile(head)
	return err == nil && strings.TrimSpace(string(text)) == "ref: "+branch.String()
}

// unchanged refuses where a file of the draft is not as it was committed, in the
// index or in the work tree.
func (c *Clone) unchanged(d Draft) error {
	idx, err := c.kept.Index()
	if err != nil {
		return refused("read index", c.Dir(), err, "")
	}
	parent, err := c.repo.CommitObject(plumbing.NewHash(d.Parent))
	if err != nil {
		return refused("read commit", d.Parent, err, "")
	}
	for _, ch := range d.Changes {
		var committed []byte
		hash := plumbing.ZeroHash
		f, err := parent.File(ch.Path)
		switch {
		case err == nil:
			text, err := f.Contents()
			if err != nil {
				return refused("read file", ch.Path, err, "")
			}
			committed, hash = []byte(text), f.Hash
		case !errors.Is(err, object.ErrFileNotFound):
			return refused("read file", ch.Path, err, "")
		}
		staged := plumbing.ZeroHash
		if e, err := idx.Entry(ch.Path); err == nil {
			staged = e.Hash
		}
		have, err := os.ReadFile(filepath.Join(c.Dir(), ch.Path))
		if errors.Is(err, fs.ErrNotExist) {
			have, err = nil, nil
		}
		if err != nil {
			return refused("read file", ch.Path, err, "")
		}
		if staged != hash || !bytes.Equal(have, committed) {
			return refused("commit on branch", d.Branch, fmt.Errorf("it is checked out, and %s has changes that are not committed", ch.Path),
				"commit or stash them (git stash), or give --branch another name")
		}
	}
	return nil
}

// follow brings the files of the draft, and nothing else, into the work tree and
// the index.
func (c *Clone) follow(d Draft) error {
	idx, err := c.kept.Index()
	if err != nil {
		return refused("read index", c.Dir(), err, "`git status` shows what is left to do")
	}
	for _, ch := range d.Changes {
		if err := c.followFile(idx, ch); err != nil {
			return refused("write file", ch.Path, err, "the commit is made; `git checkout -- "+ch.Path+"` brings the file")
		}
	}
	if err := c.kept.SetIndex(idx); err != nil {
		return refused("write index", c.Dir(), err, "`git status` shows what is left to do")
	}
	return nil
}

func (c *Clone) followFile(idx *index.Index, ch Change) error {
	file := filepath.Join(c.Dir(), ch.Path)
	if ch.Content == nil {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := idx.Remove(ch.Path); err != nil && !errors.Is(err, index.ErrEntryNotFound) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, ch.Content, 0o644); err != nil { // a file that is there keeps its mode
		return err
	}
	st, err := os.Stat(file)
	if err != nil {
		return err
	}
	e, err := idx.Entry(ch.Path)
	if errors.Is(err, index.ErrEntryNotFound) {
		e = idx.Add(ch.Path)
		e.Mode = filemode.Regular
	} else if err != nil {
		return err
	}
	e.Hash = plumbing.ComputeHash(plumbing.BlobObject, ch.Content)
	e.Size, e.ModifiedAt = uint32(st.Size()), st.ModTime()
	return nil
}
