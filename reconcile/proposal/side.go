package proposal

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

// side is the plan's folder at one commit.
type side struct {
	tree *source.Tree
	docs []plans.Document
}

func (r *reader) side(commit *object.Commit) (side, error) {
	docs, tree, err := r.documents(commit.Hash.String())
	return side{tree, docs}, err
}

// text is the content of a file, "" if it is not there.
func (s side) text(file string) string {
	b, err := fs.ReadFile(s.tree, file)
	if err != nil {
		return ""
	}
	return string(b)
}

// within says that lines [from, to) of a file reach into a document that is
// asked for. A document reaches to the next one's beginning.
func (s side) within(file string, from, to int, asked func(plans.Document) bool) bool {
	var in []plans.Document
	for _, d := range s.docs {
		if d.At.File == file {
			in = append(in, d)
		}
	}
	slices.SortFunc(in, func(a, b plans.Document) int { return a.At.Line - b.At.Line })
	for i, d := range in {
		begin, end := d.At.Line-1, int(^uint(0)>>1)
		if i == 0 {
			begin = 0
		}
		if i+1 < len(in) {
			end = in[i+1].At.Line - 1
		}
		if asked(d) && from < end && (begin < to || begin == from) {
			return true
		}
	}
	return false
}

// differ lists the files of the plan's folder that a change touched, by their
// path from there.
func (c *Clone) differ(ctx context.Context, change span) ([]string, error) {
	var trees [2]*object.Tree
	for i, commit := range []*object.Commit{change.before, change.after} {
		tree, err := commit.Tree()
		if err == nil && c.cfg.Path != "" {
			tree, err = tree.Tree(c.cfg.Path)
		}
		if err != nil {
			return nil, refused("read commit", commit.Hash.String(), err, "")
		}
		trees[i] = tree
	}
	found, err := object.DiffTreeContext(ctx, trees[0], trees[1])
	if err != nil {
		return nil, refused("compare commits", change.after.Hash.String(), err, "")
	}
	var files []string
	for _, ch := range found {
		name := ch.To.Name
		if name == "" {
			name = ch.From.Name
		}
		files = append(files, strings.TrimPrefix(name, "/"))
	}
	slices.Sort(files)
	return files, nil
}

// contents is a file at a commit, "" if it is not there.
func contents(commit *object.Commit, path string) (string, error) {
	f, err := commit.File(path)
	if errors.Is(err, object.ErrFileNotFound) {
		return "", nil
	}
	if err != nil {
		return "", refused("read file", path, err, "")
	}
	return f.Contents()
}
