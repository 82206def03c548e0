package proposal

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Change is what becomes of one file.
type Change struct {
	Path    string // from the top of the repository
	Content []byte // nil removes the file
}

// editTree writes a tree with the changes, whose paths are relative to it, and
// returns its name; the zero hash is one without any entry left. nil is a tree
// that is not there yet.
func (c *Clone) editTree(tree *object.Tree, changes []Change) (plumbing.Hash, error) {
	next := &object.Tree{}
	if tree != nil {
		next.Entries = slices.Clone(tree.Entries)
	}
	below := map[string][]Change{}
	for _, ch := range changes {
		name, rest, deeper := strings.Cut(ch.Path, "/")
		if deeper {
			below[name] = append(below[name], Change{rest, ch.Content})
			continue
		}
		hash := plumbing.ZeroHash
		if ch.Content != nil {
			var err error
			if hash, err = c.writeBlob(ch.Content); err != nil {
				return hash, err
			}
		}
		if err := setEntry(next, name, hash, filemode.Regular); err != nil {
			return hash, err
		}
	}
	for name, inside := range below {
		var sub *object.Tree
		if e, err := find(next, name); err == nil && e.Mode == filemode.Dir {
			if sub, err = object.GetTree(c.repo.Storer, e.Hash); err != nil {
				return plumbing.ZeroHash, err
			}
		}
		hash, err := c.editTree(sub, inside)
		if err != nil {
			return hash, err
		}
		if err := setEntry(next, name, hash, filemode.Dir); err != nil {
			return hash, err
		}
	}
	if len(next.Entries) == 0 {
		return plumbing.ZeroHash, nil
	}
	sort.Sort(object.TreeEntrySorter(next.Entries))
	obj := c.drafts.NewEncodedObject()
	if err := next.Encode(obj); err != nil {
		return plumbing.ZeroHash, err
	}
	return c.drafts.SetEncodedObject(obj)
}

func find(tree *object.Tree, name string) (*object.TreeEntry, error) {
	for i := range tree.Entries {
		if tree.Entries[i].Name == name {
			return &tree.Entries[i], nil
		}
	}
	return nil, object.ErrEntryNotFound
}

// setEntry puts an entry into a tree, or takes it out where hash is zero. A file
// keeps the mode it has.
func setEntry(tree *object.Tree, name string, hash plumbing.Hash, mode filemode.FileMode) error {
	e, err := find(tree, name)
	switch {
	case hash.IsZero():
		tree.Entries = slices.DeleteFunc(tree.Entries, func(e object.TreeEntry) bool { return e.Name == name })
	case errors.Is(err, object.ErrEntryNotFound):
		tree.Entries = append(tree.Entries, object.TreeEntry{Name: name, Mode: mode, Hash: hash})
	case (e.Mode == filemode.Dir) != (mode == filemode.Dir):
		return fmt.Errorf("write %s: a file and a folder have the same name", name)
	default:
		e.Hash = hash
	}
	return nil
}

func (c *Clone) writeBlob(content []byte) (plumbing.Hash, error) {
	obj := c.drafts.NewEncodedObject()
	obj.SetType(plumbing.BlobObject)
	w, err := obj.Writer()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := w.Write(content); err != nil {
		return plumbing.ZeroHash, err
	}
	if err := w.Close(); err != nil {
		return plumbing.ZeroHash, err
	}
	return c.drafts.SetEncodedObject(obj)
}
