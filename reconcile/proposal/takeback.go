package proposal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

// Reverted is a proposal that takes a change back.
type Reverted struct {
	Draft  Draft
	Commit source.Commit // the change that is taken back
	Before source.Commit // what is restored of it
	Files  []string      // that differ
	// Moves are the tenants that want something else by it, in plan order.
	Moves []string
}

// Revert makes a commit on a branch that restores what was wanted of the subject
// before the newest change of it: only in the documents that say so, and only
// the lines that the change touched. what is who it is for, in the message.
func (c *Clone) Revert(ctx context.Context, branch, what string, s Subject) (Reverted, error) {
	base, _, err := c.Base(branch)
	if err != nil {
		return Reverted{}, err
	}
	r := &reader{clone: c}
	change, err := r.changed(ctx, base, s)
	if err != nil {
		return Reverted{}, err
	}
	if change.was == noTenant {
		return Reverted{}, refused("take back", s.Tenant, fmt.Errorf("it began with commit %s, so there is nothing to go back to", change.after.Hash.String()[:10]),
			"to take a tenant away, put removed: true into its plan")
	}
	out := Reverted{}
	for _, end := range []struct {
		commit *object.Commit
		into   *source.Commit
	}{{change.after, &out.Commit}, {change.before, &out.Before}} {
		if *end.into, err = c.source.Commit(end.commit.Hash.String()); err != nil {
			return Reverted{}, err
		}
	}
	message := "Revert \"" + out.Commit.Subject + "\" for " + what + "\n\nThis takes back " + out.Commit.Hash + "\nby " + out.Commit.Author + ", as far as it concerns " + what + ".\n"
	// As little as does it: the documents of the tenant, then also what all
	// share, then also the files that services take with them.
	for reach := reachOwn; reach <= reachFiles; reach++ {
		var changes []Change
		if changes, err = r.reversed(ctx, base, change, s, reach); err != nil {
			return Reverted{}, hinted(err, s, out.Commit)
		}
		if len(changes) == 0 {
			continue
		}
		if out.Draft, err = c.Draft(ctx, branch, changes, message); err != nil {
			return Reverted{}, err
		}
		var plan *plans.Plan
		plan, err = r.plan(out.Draft.Hash, s.Tenant)
		if errors.Is(err, errRefused) {
			continue
		}
		if err != nil {
			return Reverted{}, err
		}
		if s.wants(plan) == change.was {
			for _, ch := range changes {
				out.Files = append(out.Files, ch.Path)
			}
			out.Moves, err = r.moves(base, out.Draft.Hash)
			return out, err
		}
	}
	if err == nil {
		err = errors.New("what it changed does not bring back by itself what was wanted before")
	}
	return Reverted{}, hinted(err, s, out.Commit)
}

// hinted says how to go on by hand.
func hinted(err error, s Subject, commit source.Commit) error {
	return refused("take back", commit.Short()+" ("+commit.Subject+") for "+s.Tenant, err,
		"write what you want by hand, or start from `git revert "+commit.Short()+"`; `reconcile validate` and the dry-run say whether it holds")
}

// moves are the tenants of which two commits want different things.
func (r *reader) moves(before, after string) ([]string, error) {
	old, err := r.plan(before)
	if err != nil {
		return nil, err
	}
	was := map[string]plans.Target{}
	for i := range old.Tenants {
		was[old.Tenants[i].Name] = old.Tenants[i].Target()
	}
	plan, err := r.plan(after)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range plan.Tenants {
		t := &plan.Tenants[i]
		if old, ok := was[t.Name]; !ok || old != t.Target() {
			names = append(names, t.Name)
		}
		delete(was, t.Name)
	}
	for name := range plans.Sorted(was) {
		names = append(names, name)
	}
	return names, nil
}

// reach is how much of a change is taken back.
type reach int

const (
	reachOwn    reach = iota // documents of the tenant and its template
	reachShared              // and those that all tenants share
	reachFiles               // and files that are no plan
)

// reversed is the change backwards, made in what is there at base.
func (r *reader) reversed(ctx context.Context, base string, change span, s Subject, reach reach) ([]Change, error) {
	files, err := r.clone.differ(ctx, change)
	if err != nil {
		return nil, err
	}
	var sides [2]side
	for i, commit := range []*object.Commit{change.after, change.before} {
		if sides[i], err = r.side(commit); err != nil {
			return nil, err
		}
	}
	now, err := r.clone.repo.CommitObject(plumbing.NewHash(base))
	if err != nil {
		return nil, refused("read commit", base, err, "")
	}
	concerned := r.concerned(sides[:], s, reach)
	var changes []Change
	for _, file := range files {
		after, before := sides[0].text(file), sides[1].text(file)
		back := hunks(after, before)
		if planFile(file) {
			back = slices.DeleteFunc(back, func(h hunk) bool {
				return !sides[0].within(file, h.from, h.to, concerned) && !sides[1].within(file, h.at, h.at+len(h.lines), concerned)
			})
		} else if reach < reachFiles {
			continue
		}
		if len(back) == 0 {
			continue
		}
		have, err := contents(now, r.clone.plan(file))
		if err != nil {
			return nil, err
		}
		next, err := merge(file, after, hunks(after, have), back)
		if err != nil {
			return nil, err
		}
		if next == have {
			continue
		}
		ch := Change{Path: r.clone.plan(file), Content: []byte(next)}
		if strings.TrimSpace(next) == "" {
			ch.Content = nil
		}
		changes = append(changes, ch)
	}
	return changes, nil
}

// concerned are the documents that say what is wanted of the subject.
func (r *reader) concerned(sides []side, s Subject, reach reach) func(plans.Document) bool {
	templates := map[string]bool{}
	for _, side := range sides {
		for _, d := range side.docs {
			if name, ok := d.Spec["template"].(string); ok && d.Kind == plans.KindTenant && d.Name == s.Tenant {
				templates[name] = true
			}
		}
	}
	return func(d plans.Document) bool {
		switch d.Kind {
		case plans.KindTenant:
			return d.Name == s.Tenant && !s.Release
		case plans.KindTemplate:
			return templates[d.Name]
		case plans.KindFleet, plans.KindBatchPolicy:
			return reach >= reachShared
		}
		return false
	}
}

func planFile(file string) bool {
	inFiles := strings.HasPrefix(file, "files/") || strings.Contains(file, "/files/")
	return !inFiles && (strings.HasSuffix(file, ".yaml") || strings.HasSuffix(file, ".yml"))
}
