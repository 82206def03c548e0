package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/proposal"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

// reverting is what to take back, and where the commit goes.
type reverting struct {
	tenant, rollout string
	dryRun          bool
	clone           cloneFlags
}

func (p *program) revert() *cobra.Command {
	var r reverting
	cmd := &cobra.Command{
		Use:   "revert TENANT | --rollout ID",
		Short: "Take the last change of a tenant or a rollout back, as a commit in git",
		Long: `revert finds the commit that brought what a tenant should run now, or what a rollout
spread, and makes a commit in your clone of the plan repository that restores what
was there before: only the documents that say so, and only the lines that change
touched. No version has to be looked up. Nothing else of the clone is touched, and
nothing that is not committed; the hosts act once the branch is merged.

A template is shared: taking its change back takes all its tenants along, and revert
names them. --dry-run prints the diff, and on a host also what would happen there;
then exit status 2 says that there is something to take back. Where a later commit
changed the same lines, revert shows both and leaves the choice to you.`,
		Example: `  reconcile revert acme --dry-run
  reconcile revert acme --push
  reconcile revert --rollout ro-1f3a2b --dir ~/fleet --push`,
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (r.rollout != "") || len(args) > 1 {
				return usage{error: errors.New("give one tenant, or --rollout and its id"), hint: helpOf(cmd)}
			}
			return nil
		},
		ValidArgsFunction: p.completeTenant,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				r.tenant = args[0]
			}
			return p.takeBack(cmd.Context(), set, r)
		},
	}
	cmd.Flags().StringVar(&r.rollout, "rollout", "", "take back what this rollout brought")
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "show the commit, and on a host what it would do, and make none")
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("rollout", p.completeRollout))
	r.clone.add(cmd, "revert/NAME")
	return cmd
}

// revertResult is what a revert came to, as JSON.
type revertResult struct {
	Tenant  string `json:"tenant,omitempty"`
	Rollout string `json:"rollout,omitempty"`
	// Reverts is the commit that is taken back, Restores the one whose plan is
	// restored of it.
	Reverts  source.Commit `json:"reverts"`
	Restores source.Commit `json:"restores"`
	// Moves are the tenants that are wanted otherwise by it.
	Moves   []string       `json:"moves"`
	Diff    string         `json:"diff"`
	InGit   *proposed      `json:"git,omitempty"`     // nil in a dry-run
	Preview *previewResult `json:"preview,omitempty"` // of a dry-run, on a host
}

func (p *program) takeBack(ctx context.Context, set settings, r reverting) error {
	c, err := p.openClone(ctx, set, r.clone)
	if err != nil {
		return err
	}
	subject, err := p.toTakeBack(ctx, set, c, &r)
	if err != nil {
		return err
	}
	f := r.clone
	f.branch = cmp.Or(f.branch, "revert/"+cmp.Or(r.rollout, r.tenant))
	what := r.tenant
	if r.rollout != "" {
		what = "rollout " + r.rollout
	}
	done := p.patience("reading the history of " + followed(c))
	back, err := c.Revert(ctx, f.branch, what, subject)
	done()
	if err != nil {
		return err
	}
	res := revertResult{Tenant: r.tenant, Rollout: r.rollout, Reverts: back.Commit, Restores: back.Before, Moves: back.Moves}
	if res.Diff, err = c.Diff(ctx, back.Draft); err != nil {
		return err
	}
	rev, err := cloneFeed(set, c).at(back.Draft.Hash)
	if err != nil {
		return err
	}
	if r.dryRun {
		return p.showRevert(ctx, set, c, res, rev)
	}
	kept, err := p.keep(ctx, set, c, f, back.Draft)
	if err != nil {
		return err
	}
	res.InGit = &kept
	if set.Output == "json" {
		return p.json(res)
	}
	fmt.Fprintf(p.stdout, "takes back %s\n", commitText(res.Reverts))
	fmt.Fprintf(p.stdout, "  %s on branch %s, commit %s\n", strings.Join(kept.Files, ", "), kept.Branch, short(kept.Commit))
	p.sayMoves(r.tenant, res.Moves)
	fmt.Fprintf(p.stdout, "next: %s\n", kept.Next)
	return nil
}

// toTakeBack says what is to be as it was. A rollout is found on its host, else
// by its id in the history.
func (p *program) toTakeBack(ctx context.Context, set settings, c *proposal.Clone, r *reverting) (proposal.Subject, error) {
	if r.rollout == "" {
		return proposal.Subject{Tenant: r.tenant}, nil
	}
	v, known, err := p.rolloutHere(ctx, set, r.rollout)
	if err != nil {
		return proposal.Subject{}, err
	}
	if !known {
		return c.FindRollout(ctx, r.rollout, set.Node)
	}
	r.rollout = v.ID
	if err := inForceHere(c, v.Commit); err != nil {
		return proposal.Subject{}, err
	}
	tenant := ""
	for _, b := range v.Batches {
		for _, m := range b.Members {
			tenant = cmp.Or(tenant, m.Tenant)
		}
	}
	if v.Template == "" {
		return proposal.Subject{Tenant: tenant}, nil
	}
	s := proposal.Subject{Tenant: tenant, Release: true, From: v.From, To: v.To}
	switch {
	case v.From == "none":
		return s, observed.Wrap("take back", "rollout "+v.ID, observed.Refused, errors.New("its tenants began with it, so there is nothing to go back to"),
			"to take a tenant away, put removed: true into its plan")
	case strings.Contains(v.From, "+"): // from several releases: the one that git had last
		s.From = ""
	}
	return s, nil
}

// rolloutHere asks this host for a rollout; known is false where no reconcile
// runs or ran.
func (p *program) rolloutHere(ctx context.Context, set settings, id string) (v agent.RolloutView, known bool, err error) {
	if !ranHere(ctx, set) {
		return v, false, nil
	}
	v, err = p.rolloutOnce(ctx, set, id)
	return v, true, err
}

// ranHere says that a daemon runs on the state directory, or that something of
// it can be read.
func ranHere(ctx context.Context, set settings) bool {
	if c, ok := dial(ctx, set); ok {
		c.Close()
		return true
	}
	_, err := os.Stat(set.at("journal.db"))
	return err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission)
}

// showRevert is the dry-run.
func (p *program) showRevert(ctx context.Context, set settings, c *proposal.Clone, res revertResult, rev revision) error {
	var err error
	if res.Preview, err = p.previewOf(ctx, set, c, rev); err != nil {
		return err
	}
	if set.Output == "json" {
		if err := p.json(res); err != nil {
			return err
		}
		return status(exitChanges)
	}
	fmt.Fprintf(p.stdout, "would take back %s\n\n%s\n", commitText(res.Reverts), res.Diff)
	p.sayMoves(res.Tenant, res.Moves)
	if res.Preview == nil {
		fmt.Fprintln(p.stdout, "what it would do: `reconcile --plans . --dry-run` on a host, with the branch checked out there")
		return status(exitChanges)
	}
	fmt.Fprintln(p.stdout, "on this host:")
	writePreview(p.stdout, *res.Preview, width(p.stdout))
	return status(exitChanges)
}

// previewOf is what a commit of a clone would do on this host; nil where no
// reconcile runs or ran.
func (p *program) previewOf(ctx context.Context, set settings, c *proposal.Clone, rev revision) (*previewResult, error) {
	if !ranHere(ctx, set) {
		return nil, nil
	}
	set, clean, err := set.scratched()
	if err != nil {
		return nil, err
	}
	defer clean()
	var plan *plans.Plan
	resolve := func(set settings) error {
		here, err := newCloneFeed(set, c.Source()).at(rev.Commit.Hash)
		plan = here.Plan
		return err
	}
	out := &previewResult{rev: rev}
	if d, ok := dial(ctx, set); ok {
		defer d.Close()
		if set, err = likeDaemon(ctx, set, d); err != nil {
			return nil, err
		}
		if err := resolve(set); err != nil {
			return nil, err
		}
		defer p.patience("the daemon looks at the host")()
		out.Preview, err = d.DryRun(ctx, plan)
		return out, err
	}
	if err := resolve(set); err != nil {
		return nil, err
	}
	*out, err = p.rehearse(ctx, set, plan)
	out.rev = rev
	return out, err
}

// sayMoves names who goes along.
func (p *program) sayMoves(tenant string, moves []string) {
	var others []string
	for _, m := range moves {
		if m != tenant {
			others = append(others, m)
		}
	}
	switch {
	case len(others) == 0:
	case tenant == "":
		fmt.Fprintf(p.stdout, "  %s back: %s\n", goes(len(others)), someNames(others))
	default:
		fmt.Fprintf(p.stdout, "  with it %s back: %s\n", goes(len(others)), someNames(others))
	}
}

func goes(n int) string {
	if n == 1 {
		return "1 tenant goes"
	}
	return fmt.Sprintf("%d tenants go", n)
}

func commitText(c source.Commit) string {
	return fmt.Sprintf("%s (%s) by %s of %s", c.Short(), c.Subject, c.Author, c.When.Local().Format("2006-01-02 15:04"))
}
