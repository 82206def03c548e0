package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/source"
	"github.com/gitops-fleet/reconcile/schema"
)

// feed turns a repository or a working tree into plans.
type feed struct {
	set   settings
	src   *source.Source // nil for a working tree
	cache *schema.Cache

	resolving sync.Mutex   // guards memory
	memory    plans.Memory // of the tenants last resolved
}

// revision is one resolved plan and where it comes from.
type revision struct {
	Plan   *plans.Plan
	Commit source.Commit // zero for a working tree
	// Behind says why the newest commit is not this one: the remote is down,
	// or the commit was refused. nil: this is the newest.
	Behind error
}

// newFeed opens the clone in dir, or checks the working tree.
func newFeed(s settings, dir string) (*feed, error) {
	f := &feed{set: s, cache: &schema.Cache{}}
	if s.Plans != "" {
		st, err := os.Stat(s.Plans)
		if err != nil {
			return nil, observed.Wrap("read plans", s.Plans, observed.Refused, err, "give --plans the folder that holds the plan")
		}
		if !st.IsDir() {
			return nil, observed.Wrap("read plans", s.Plans, observed.Refused, errors.New("it is a file"), "give --plans the folder that holds the plan")
		}
		return f, nil
	}
	var err error
	f.src, err = source.Open(source.Config{
		URL: s.Repo.URL, Branch: s.Repo.Branch, Path: s.Repo.Path, Dir: dir, AllowRewind: s.Repo.AllowRewind,
		Auth: source.Auth{
			SSHKey: s.Repo.Auth.SSHKey, KnownHosts: s.Repo.Auth.KnownHosts,
			SSHKeyPass: s.Repo.Auth.SSHKeyPassFile, CAFile: s.Repo.Auth.CAFile,
			Username: s.Repo.Auth.Username, PasswordFile: s.Repo.Auth.PasswordFile,
		},
	})
	return f, err
}

// newCloneFeed resolves the commits of a clone that somebody else keeps.
func newCloneFeed(s settings, src *source.Source) *feed {
	return &feed{set: s, src: src, cache: &schema.Cache{}}
}

// openFeed opens the clone that the state directory keeps.
func openFeed(s settings) (*feed, error) { return newFeed(s, s.place("", cloneDir)) }

// cloneDir is the clone's name in the state directory.
const cloneDir = "repo.git"

// Newest returns the newest plan that may be acted on. accepted is the commit
// the journal knows as accepted. Where the remote cannot be asked, or the newest
// commit is refused, it returns the accepted plan with Behind set; an error only
// where there is no plan at all.
func (f *feed) Newest(ctx context.Context, accepted string) (revision, error) {
	if f.src == nil {
		plan, err := f.tree()
		return revision{Plan: plan}, err
	}
	if accepted == "" {
		accepted = f.src.Accepted()
	}
	rev, err := f.fetch(ctx, accepted)
	if err == nil {
		return rev, nil
	}
	if accepted == "" || ctx.Err() != nil {
		return revision{}, err
	}
	last, lastErr := f.at(accepted)
	if lastErr != nil {
		return revision{}, fmt.Errorf("%w; and the accepted plan cannot be read: %w", err, lastErr)
	}
	last.Behind = err
	return last, nil
}

func (f *feed) fetch(ctx context.Context, accepted string) (revision, error) {
	commit, err := f.src.Fetch(ctx)
	if err != nil {
		return revision{}, err
	}
	if err := f.src.Forward(accepted, commit.Hash); err != nil {
		return revision{}, err
	}
	return f.at(commit.Hash)
}

// Tip returns the newest plan, whatever was accepted before. It is an error where
// the remote is down or the plan does not hold.
func (f *feed) Tip(ctx context.Context) (revision, error) {
	if f.src == nil {
		plan, err := f.tree()
		return revision{Plan: plan}, err
	}
	commit, err := f.src.Fetch(ctx)
	if err != nil {
		return revision{}, err
	}
	return f.at(commit.Hash)
}

// inForce is the plan last accepted, without asking the remote; where none was
// accepted yet, the newest.
func (f *feed) inForce(ctx context.Context) (revision, error) {
	if f.src != nil {
		if hash := f.src.Accepted(); hash != "" {
			return f.at(hash)
		}
	}
	return f.Tip(ctx)
}

// at resolves the plan of one commit.
func (f *feed) at(hash string) (revision, error) {
	commit, err := f.src.Commit(hash)
	if err != nil {
		return revision{}, err
	}
	tree, err := f.src.Tree(hash)
	if err != nil {
		return revision{}, err
	}
	plan, problems, err := f.resolve(tree, tree.Hash, hash)
	if err != nil {
		return revision{}, err
	}
	if len(problems) > 0 {
		r := refusedPlan{what: fmt.Sprintf("commit %s by %s (%s)", commit.Short(), commit.Author, commit.Subject), commit: commit, problems: problems, authors: map[string]source.Commit{}}
		for _, p := range problems {
			if _, ok := r.authors[p.Pos.File]; !ok && p.Pos.File != "" {
				if who, err := f.src.LastAuthor(hash, p.Pos.File); err == nil {
					r.authors[p.Pos.File] = who
				}
			}
		}
		return revision{}, r
	}
	return revision{Plan: plan, Commit: commit}, nil
}

// tree resolves the plan of a working tree.
func (f *feed) tree() (*plans.Plan, error) {
	root, err := os.OpenRoot(f.set.Plans)
	if err != nil {
		return nil, fmt.Errorf("read plans: %w", err)
	}
	defer root.Close()
	plan, problems, err := f.resolve(root.FS(), nil, "")
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, refusedPlan{what: "plan " + f.set.Plans, problems: problems}
	}
	return plan, nil
}

// documents loads and checks every document of a tree against its schema.
func (f *feed) documents(fsys fs.FS, hash func(string) string) ([]plans.Document, []plans.Problem, error) {
	return schema.Load(fsys, schema.Options{Cache: f.cache, Hash: hash})
}

func (f *feed) resolve(fsys fs.FS, hash func(string) string, commit string) (*plans.Plan, []plans.Problem, error) {
	docs, problems, err := f.documents(fsys, hash)
	if err != nil {
		return nil, nil, fmt.Errorf("read plan: %w", err)
	}
	if len(problems) > 0 {
		return nil, problems, nil
	}
	o := f.options(fsys, commit)
	o.Memory = &f.memory
	f.resolving.Lock()
	plan, problems := plans.Resolve(docs, o)
	f.resolving.Unlock()
	if len(problems) > 0 {
		return nil, problems, nil
	}
	if f.set.Fleet != "" && plan.Fleet != f.set.Fleet {
		return nil, nil, observed.Wrap("accept plan", plan.Fleet, observed.Refused, fmt.Errorf("this host belongs to fleet %q", f.set.Fleet), "follow that fleet's repository, or set fleet in this host's configuration")
	}
	return plan, nil, nil
}

func (f *feed) options(fsys fs.FS, commit string) plans.Options {
	return plans.Options{
		Node: f.set.Node, Commit: commit,
		File: func(path string) ([]byte, error) { return fs.ReadFile(fsys, path) },
	}
}

// name is what is read, for a person.
func (f *feed) name() string {
	if f.src == nil {
		return f.set.Plans
	}
	return source.Redact(f.set.Repo.URL) + ", branch " + f.set.Repo.Branch
}

// Accept remembers the commit in the clone; the journal has its own record.
func (f *feed) Accept(r revision) error {
	if f.src == nil || r.Commit.Hash == "" {
		return nil
	}
	return f.src.Accept(r.Commit.Hash)
}

// stale is how long the newest plan could not be had, in words.
func stale(since, now time.Time) string {
	return now.Sub(since).Round(time.Second).String()
}
