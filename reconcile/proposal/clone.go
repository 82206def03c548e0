package proposal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/memory"
	"github.com/go-git/go-git/v5/storage/transactional"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

// Config says which clone to write to.
type Config struct {
	Dir    string // a folder of the clone
	Path   string // folder of the plan inside the repository; "" or "." is its root
	Branch string // that the hosts follow
}

// Clone is a person's clone of the plan repository. It is used by one goroutine.
type Clone struct {
	cfg    Config
	kept   storage.Storer         // what is on disk
	drafts *memory.Storage        // objects that were made and not kept yet
	repo   *git.Repository        // both
	tree   *git.Worktree          // nil in a bare repository
	source *source.Source         // reads both
	remote string                 // "" if there is none
	tip    *object.Commit         // of what the hosts follow
	from   plumbing.ReferenceName // that tip was read from
}

// Open finds the clone that dir is in, and the newest commit it knows of the
// branch that the hosts follow: the remote's, where the clone has one.
func Open(cfg Config) (*Clone, error) {
	cfg.Path = strings.Trim(filepath.ToSlash(filepath.Clean("/"+cfg.Path)), "/")
	disk, err := git.PlainOpenWithOptions(cfg.Dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if err != nil {
		return nil, refused("open clone", cfg.Dir, err, "go to a clone of the plan repository, or name one with --dir")
	}
	c := &Clone{cfg: cfg, kept: disk.Storer, drafts: memory.NewStorage()}
	if c.tree, err = disk.Worktree(); err != nil && !errors.Is(err, git.ErrIsBareRepository) {
		return nil, refused("open clone", cfg.Dir, err, "")
	}
	if c.repo, err = git.Open(transactional.NewStorage(c.kept, c.drafts), nil); err != nil {
		return nil, refused("open clone", cfg.Dir, err, "")
	}
	c.source = source.Local(c.repo, c.Dir(), cfg.Path)
	if err := c.findRemote(); err != nil {
		return nil, err
	}
	return c, c.Refresh()
}

// Dir is the top folder of the clone.
func (c *Clone) Dir() string {
	if c.tree == nil {
		return c.cfg.Dir
	}
	return c.tree.Filesystem.Root()
}

// Source reads the commits of the clone, and those that are proposed.
func (c *Clone) Source() *source.Source { return c.source }

// Remote is the name of the remote that the followed branch comes from, "" if
// the clone has none.
func (c *Clone) Remote() string { return c.remote }

// Tip is the newest known commit of the branch that the hosts follow, and what
// it was read from, such as origin/main.
func (c *Clone) Tip() (hash, from string) { return c.tip.Hash.String(), c.from.Short() }

// findRemote takes the remote that the followed branch is set up with, else
// origin, else the only one.
func (c *Clone) findRemote() error {
	conf, err := c.repo.Config()
	if err != nil {
		return refused("read configuration of clone", c.Dir(), err, "")
	}
	if b := conf.Branches[c.cfg.Branch]; b != nil && b.Remote != "" && b.Remote != "." {
		c.remote = b.Remote
		return nil
	}
	if conf.Remotes["origin"] != nil {
		c.remote = "origin"
		return nil
	}
	if len(conf.Remotes) == 1 {
		for name := range conf.Remotes {
			c.remote = name
		}
	}
	return nil
}

// Refresh reads the tip of the followed branch again.
func (c *Clone) Refresh() error {
	var names []plumbing.ReferenceName
	if c.remote != "" {
		names = append(names, plumbing.NewRemoteReferenceName(c.remote, c.cfg.Branch))
	}
	names = append(names, plumbing.NewBranchReferenceName(c.cfg.Branch))
	for _, name := range names {
		ref, err := c.repo.Reference(name, true)
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			continue
		}
		if err != nil {
			return refused("read branch", name.Short(), err, "")
		}
		if c.tip, err = c.repo.CommitObject(ref.Hash()); err != nil {
			return refused("read branch", name.Short(), err, "a clone that is not shallow has it: `git fetch --unshallow`")
		}
		c.from = name
		return nil
	}
	return refused("find branch", c.cfg.Branch, fmt.Errorf("the clone %s does not have it", c.Dir()),
		"fetch it, or name the branch that the hosts follow: RECONCILE_BRANCH, or repo.branch in the configuration")
}

// Fetch asks the remote for what the followed branch is now. It moves nothing
// but the clone's picture of the remote.
func (c *Clone) Fetch(ctx context.Context) error {
	if c.remote == "" {
		return nil
	}
	if _, err := c.git(ctx, "fetch", "--quiet", c.remote, "+refs/heads/"+c.cfg.Branch+":"+plumbing.NewRemoteReferenceName(c.remote, c.cfg.Branch).String()); err != nil {
		return err
	}
	return c.reopen()
}

// reopen sees what another process brought: packs that are known are not looked
// for again.
func (c *Clone) reopen() error {
	fresh, err := Open(c.cfg)
	if err != nil {
		return err
	}
	*c = *fresh
	return nil
}

// Has says that the clone has a commit.
func (c *Clone) Has(hash string) bool {
	_, err := c.repo.CommitObject(plumbing.NewHash(hash))
	return err == nil
}

func refused(op, ref string, err error, hint string) error {
	return observed.Wrap(op, ref, observed.Refused, err, hint)
}
