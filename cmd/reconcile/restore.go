package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// restoreResult is what a way back of data came to, as JSON.
type restoreResult struct {
	Tenant string `json:"tenant"`
	// Leaves is what was written since the snapshot, by volume.
	Leaves []agent.Cost `json:"leaves"`
	// Done says that the data went back. Question is what waits for an answer.
	Done     bool   `json:"done"`
	Question string `json:"question,omitempty"`
	Why      string `json:"why,omitempty"`
	*agent.Outcome
}

// rollBackData sends data back to a snapshot, or asks whether to, or only says
// what that would leave behind. The cost is told first in every case.
func (p *program) rollBackData(ctx context.Context, set settings, tenant, snapshot string, local, dry bool) error {
	if local && !dry && !set.AllowLocal {
		return localRefused("roll back the data of", tenant, "leave out --local: the question it opens is answered in git")
	}
	r := restoreResult{Tenant: tenant}
	if err := p.restoreCost(ctx, set, &r, snapshot); err != nil {
		return err
	}
	switch {
	case set.Output != "json":
		writeCosts(p.stdout, r)
	case dry:
		return p.json(r)
	}
	if dry {
		return nil
	}
	if c, ok := dial(ctx, set); ok {
		defer c.Close()
		if err := c.Restore(ctx, tenant, snapshot, local); err != nil {
			return err
		}
		view := newPassView(p.stdout, p.stderr, set.Output)
		defer view.Close()
		p.passing = "the daemon goes on with it"
		out, err := c.Pass(ctx, view.Line)
		if err != nil {
			return err
		}
		after, err := c.Explain(ctx, tenant)
		if err != nil {
			return err
		}
		return p.restored(view, set, r, after, out, snapshot)
	}
	return p.orderHere(ctx, set, func(a *agent.Agent, view *passView) error {
		if err := a.Restore(tenant, snapshot, local); err != nil {
			return err
		}
		out, err := a.Pass(ctx)
		if err != nil {
			return err
		}
		after, err := a.Explain(tenant)
		if err != nil {
			return err
		}
		return p.restored(view, set, r, after, out, snapshot)
	})
}

// restoreCost finds out what going back leaves behind.
func (p *program) restoreCost(ctx context.Context, set settings, r *restoreResult, snapshot string) (err error) {
	t, _, done, err := p.ask(ctx, set)
	if err != nil {
		return err
	}
	defer done()
	r.Leaves, err = t.RestoreCost(ctx, r.Tenant, snapshot)
	return err
}

func writeCosts(w io.Writer, r restoreResult) {
	fmt.Fprintf(w, "%s: going back leaves behind what was written since; it is kept aside for its retention\n", r.Tenant)
	var t table
	for _, c := range r.Leaves {
		left := "a number of bytes that cannot be told"
		if c.Bytes >= 0 {
			left = agent.SizeUpTo(c.Bytes, c.AtMost)
		}
		t = append(t, []string{"  " + c.Volume, left, "since " + c.Taken.Local().Format("2006-01-02 15:04:05"), c.Snapshot})
	}
	t.write(w, 0)
}

// restored tells how it ended.
func (p *program) restored(view *passView, set settings, r restoreResult, after agent.Explanation, out agent.Outcome, snapshot string) error {
	view.Close()
	r.Outcome, r.Why = &out, after.Report.Why
	for _, c := range r.Leaves {
		now := after.Record.Data[c.Volume].Dataset
		r.Done = r.Done || now != "" && now != c.Dataset
	}
	if q := after.Report.Question; q != nil && !r.Done && strings.Contains(q.ID, ".restore-data-") {
		r.Question = q.ID
	}
	if set.Output == "json" {
		if err := p.json(r); err != nil {
			return err
		}
	} else {
		switch {
		case r.Done:
			fmt.Fprintf(p.stdout, "%s serves its data as they were at %s\n", r.Tenant, snapshot)
		case r.Question != "":
			writeQuestion(p.stdout, after.Report.Question)
			fmt.Fprintf(p.stdout, "  → answer it in git (`reconcile answer %s restore`), or repeat with --local\n", r.Question)
		default:
			fmt.Fprintf(p.stdout, "%s: %s\n  → reconcile explain %s\n", r.Tenant, r.Why, r.Tenant)
		}
	}
	switch {
	case r.Done:
		return nil
	case r.Question != "":
		return status(exitBlocked)
	}
	return status(exitError)
}
