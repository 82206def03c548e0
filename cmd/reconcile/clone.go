package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/proposal"
)

// cloneFlags say where a verb that writes a commit puts it.
type cloneFlags struct {
	dir, branch   string
	push, noFetch bool
}

// add puts the flags on a verb. Here --branch is the branch to write; the one
// that the hosts follow is taken from RECONCILE_BRANCH or the configuration.
func (f *cloneFlags) add(cmd *cobra.Command, branch string) {
	cmd.Flags().StringVar(&f.dir, "dir", ".", "a folder of your clone of the plan repository")
	cmd.Flags().StringVar(&f.branch, "branch", "", "branch to commit on (default "+branch+")")
	cmd.Flags().BoolVar(&f.push, "push", false, "push the branch to the remote that the followed branch comes from")
	cmd.Flags().BoolVar(&f.noFetch, "no-fetch", false, "go by what the clone has, and do not ask the remote first")
	cmd.Flags().Lookup("branch").Annotations = map[string][]string{ownFlag: nil}
	cobra.CheckErr(cmd.MarkFlagDirname("dir"))
}

// openClone opens the clone and brings its picture of the remote up to date. A
// remote that cannot be asked is told and no error: what is at hand may do.
func (p *program) openClone(ctx context.Context, set settings, f cloneFlags) (*proposal.Clone, error) {
	c, err := proposal.Open(proposal.Config{Dir: f.dir, Path: set.Repo.Path, Branch: set.Repo.Branch})
	if err != nil || f.noFetch || c.Remote() == "" {
		return c, err
	}
	defer p.patience("asking " + c.Remote())()
	if err := c.Fetch(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		fmt.Fprintf(p.stderr, "warning: %v\n  → going by what this clone knows of %s; `git fetch` it if that is old\n", err, followed(c))
	}
	return c, nil
}

func followed(c *proposal.Clone) string {
	_, from := c.Tip()
	return from
}

// cloneFeed resolves the commits of a clone, for all nodes unless one is named.
func cloneFeed(set settings, c *proposal.Clone) *feed {
	if !set.nodeSet {
		set.Node = ""
	}
	return newCloneFeed(set, c.Source())
}

// proposed is where a commit went, as JSON.
type proposed struct {
	Branch string   `json:"branch"`
	Commit string   `json:"commit,omitempty"` // "" in a dry-run
	Base   string   `json:"base"`
	Files  []string `json:"files"`
	Pushed bool     `json:"pushed"`
	Next   string   `json:"next"`
}

// keep puts a draft on its branch, and pushes it where that is asked for.
func (p *program) keep(ctx context.Context, set settings, c *proposal.Clone, f cloneFlags, d proposal.Draft) (proposed, error) {
	out := proposed{Branch: d.Branch, Commit: d.Hash, Base: d.Parent, Pushed: f.push}
	for _, ch := range d.Changes {
		out.Files = append(out.Files, ch.Path)
	}
	if err := c.Keep(d); err != nil {
		return out, err
	}
	if f.push {
		defer p.patience("pushing to " + c.Remote())()
		if err := c.Push(ctx, d.Branch); err != nil {
			return out, err
		}
	}
	out.Next = nextStep(c, set.Repo.Branch, d.Branch, f)
	return out, nil
}

// nextStep is what a person does with a commit that was made.
func nextStep(c *proposal.Clone, followed, branch string, f cloneFlags) string {
	where := ""
	if dir, err := filepath.Abs(f.dir); err == nil {
		if here, err := filepath.Abs("."); err == nil && here != dir {
			where = "-C " + f.dir + " "
		}
	}
	switch {
	case branch == followed && (f.push || c.Remote() == ""):
		return "the hosts read it when they next look; `reconcile nudge` on one makes it look now"
	case branch == followed:
		return "git " + where + "push " + c.Remote() + " " + branch
	case c.Remote() == "":
		return "git " + where + "checkout " + followed + " && git " + where + "merge " + branch + "; the hosts read it from there"
	case f.push:
		return "open a pull request of " + branch + " into " + followed + "; the hosts act once it is merged"
	}
	return "git " + where + "push " + c.Remote() + " " + branch + ", and open a pull request into " + followed + "; the hosts act once it is merged"
}

// inForceHere refuses a clone that does not have the commit the host runs by.
func inForceHere(c *proposal.Clone, commit string) error {
	if commit == "" || c.Has(commit) {
		return nil
	}
	return observed.Wrap("find commit", short(commit), observed.Refused,
		fmt.Errorf("it is in force on this host, and the clone %s does not have it", c.Dir()), "git fetch there, or give --dir the clone of the repository that this host follows")
}
