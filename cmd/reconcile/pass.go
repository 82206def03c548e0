package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// passResult is what a pass came to, as JSON.
type passResult struct {
	agent.Outcome
	// Behind says why this is not the newest commit.
	Behind string `json:"behind,omitempty"`
}

// pass makes one pass: by the daemon where one runs, else by ourselves.
func (p *program) pass(ctx context.Context, set settings) error {
	if c, ok := dial(ctx, set); ok {
		return p.passByDaemon(ctx, set, c)
	}
	view := newPassView(p.stdout, p.stderr, set.Output)
	defer view.Close()
	feed, err := newFeed(set, set.at(cloneDir))
	if err != nil {
		return denied("open state", set.State, err)
	}
	view.Say("reading " + feed.name())
	rev, err := feed.Newest(ctx, "")
	if err != nil {
		return err
	}
	h, err := openHost(ctx, set, rev.Plan, hostOptions{Log: p.logger(), Progress: view.Progress})
	if err != nil {
		return err
	}
	defer h.Close()
	h.config.Events = view.Event
	a, err := agent.New(h.config)
	if err != nil {
		return err
	}
	if err := accept(feed, h, a, rev); err != nil {
		return err
	}
	if rev.Commit.Hash != "" {
		view.Say(fmt.Sprintf("commit %s by %s: %s", rev.Commit.Short(), rev.Commit.Author, rev.Commit.Subject))
	}
	if rev.Behind != nil {
		view.Warn(behindText(rev.Behind))
	}
	for _, n := range set.notices() {
		view.Warn(n)
	}
	p.passing = "what was under way is looked at again by the next pass"
	out, err := a.Pass(ctx)
	if err != nil {
		return err
	}
	res := passResult{Outcome: out}
	if rev.Behind != nil {
		res.Behind = rev.Behind.Error()
	}
	return p.passDone(view, set, res, rev.Behind)
}

// behindText says why the newest plan is not in force, and what to do about it.
func behindText(err error) string {
	text := "the accepted plan stays in force: " + err.Error()
	var problem *observed.Problem
	if errors.As(err, &problem) && problem.Hint != "" {
		text += "\n  → " + problem.Hint
	}
	return text
}

// passDone prints the summary and decides the exit code. A refused commit is an
// error even where the accepted plan converged: the merge did not happen.
func (p *program) passDone(view *passView, set settings, res passResult, behind error) error {
	view.Close()
	if set.Output == "json" {
		if err := p.json(res); err != nil {
			return err
		}
	} else {
		writeOutcome(p.stdout, res.Outcome)
	}
	switch {
	case behind != nil && observed.ClassOf(behind) != observed.Environment:
		return status(exitError)
	case len(res.Blocked) > 0 || ask(res.Rollouts):
		return status(exitBlocked)
	case len(res.Waiting) > 0:
		return status(exitError)
	}
	return nil
}

// accept hands a plan to the agent and remembers its commit in both places. The
// journal has the last word on what was accepted before.
func accept(f *feed, h *host, a *agent.Agent, rev revision) error {
	if rev.Behind != nil {
		a.SetPlan(rev.Plan)
		a.SetSourceProblem(time.Now(), sourceProblem(rev.Behind))
		return nil
	}
	if rev.Commit.Hash != "" {
		was, err := agent.AcceptedCommit(h.store)
		if err != nil {
			return err
		}
		if err := f.src.Forward(was, rev.Commit.Hash); err != nil {
			return err
		}
	}
	a.SetPlan(rev.Plan)
	a.SetSourceProblem(time.Time{}, nil)
	return f.Accept(rev)
}

// sourceProblem is why the newest plan is not in force, for status.
func sourceProblem(err error) *observed.Problem {
	var problem *observed.Problem
	if errors.As(err, &problem) {
		return problem
	}
	return &observed.Problem{Op: "accept plan", Class: observed.Refused, Text: err.Error()}
}

// passByDaemon asks the daemon for a pass and follows it.
func (p *program) passByDaemon(ctx context.Context, set settings, c *agent.Client) error {
	defer c.Close()
	view := newPassView(p.stdout, p.stderr, set.Output)
	defer view.Close()
	if set.Plans != "" {
		return observed.Wrap("make a pass", set.Plans, observed.Refused, errors.New("a daemon follows a repository on this state directory"),
			"commit the plans there; or see what they would do with --dry-run")
	}
	view.Say("a daemon runs here: it makes the pass")
	p.passing = "the daemon goes on with it"
	out, err := c.Pass(ctx, view.Line)
	if err != nil {
		return err
	}
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	res := passResult{Outcome: out}
	for _, n := range st.Notices {
		view.Warn(n)
	}
	if st.Source.Problem != nil {
		res.Behind = st.Source.Problem.Error()
		view.Warn(behindText(st.Source.Problem))
		return p.passDone(view, set, res, st.Source.Problem)
	}
	return p.passDone(view, set, res, nil)
}
