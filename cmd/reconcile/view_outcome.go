package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// eventLine is one event in one line: when, who, what.
func eventLine(e reconcile.Event) string {
	return fmt.Sprintf("%s  %-12s %-18s %s", e.Time.Local().Format("15:04:05"), orDash(e.Tenant), e.Kind, e.Text)
}

// writeOutcome sums a pass up.
func writeOutcome(w io.Writer, o agent.Outcome) {
	for _, r := range o.Blocked {
		fmt.Fprintf(w, "blocked  %s: %s\n", r.Tenant, r.Why)
		if r.Problem != nil && r.Problem.Hint != "" {
			fmt.Fprintf(w, "         → %s\n", r.Problem.Hint)
		}
		writeTail(w, r.Problem)
		if r.Next != "" {
			fmt.Fprintf(w, "         → %s\n", r.Next)
		}
		writeQuestion(w, r.Question)
		if r.Question != nil {
			fmt.Fprintf(w, "         → %s\n", howToAnswer(r.Question.ID))
		}
		fmt.Fprintf(w, "         → reconcile explain %s\n", r.Tenant)
	}
	for _, r := range o.Waiting {
		fmt.Fprintf(w, "waiting  %s: %s\n", r.Tenant, r.Why)
		if r.Problem != nil && r.Problem.Hint != "" {
			fmt.Fprintf(w, "         → %s\n", r.Problem.Hint)
		}
	}
	writeLater(w, o)
	writeOpenRollouts(w, o.Rollouts, nil)
	switch {
	case len(o.Rollouts) > 0 || len(o.Blocked) > 0 || len(o.Waiting) > 0:
		fmt.Fprintf(w, "not done: %d blocked, %d waiting (%s in %s)\n", len(o.Blocked), len(o.Waiting)+o.Pending, counted(o.Actions, "action"), o.Took.Round(10*time.Millisecond))
	case o.Actions == 0:
		fmt.Fprintln(w, "No changes. Every tenant is where the plan wants it.")
	default:
		fmt.Fprintf(w, "done: every tenant is where the plan wants it (%s in %s)\n", counted(o.Actions, "action"), o.Took.Round(10*time.Millisecond))
	}
}

// writeLater says what happens by itself later, in one line for all of whom the
// same is true. What is next for those that are blocked was said of each.
func writeLater(w io.Writer, o agent.Outcome) {
	said := map[string]bool{}
	for _, r := range o.Blocked {
		said[r.Tenant] = true
	}
	var order []string
	tenants := map[string][]string{}
	for _, d := range o.Due {
		if d.What == "" || said[d.Tenant] {
			continue
		}
		if tenants[d.What] == nil {
			order = append(order, d.What)
		}
		tenants[d.What] = append(tenants[d.What], d.Tenant)
	}
	for _, what := range order {
		slices.Sort(tenants[what])
		fmt.Fprintf(w, "later    %s: %s\n", someNames(tenants[what]), what)
	}
}

// tailLines is how much of an instance's last output a summary shows.
const tailLines = 5

// writeTail shows the last output of what failed, where that is known.
func writeTail(w io.Writer, p *observed.Problem) {
	if p != nil {
		writeLog(w, p.Log)
	}
}

// writeLog shows the end of an instance's last output.
func writeLog(w io.Writer, log string) { writeLogEnd(w, log, tailLines) }

// writeLogEnd shows at most so many lines of the end.
func writeLogEnd(w io.Writer, log string, most int) {
	if log == "" {
		return
	}
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	for _, l := range lines[max(0, len(lines)-most):] {
		fmt.Fprintf(w, "         | %s\n", l)
	}
}

// writeQuestion shows what is asked, and what each answer would do.
func writeQuestion(w io.Writer, q *reconcile.Question) {
	if q == nil {
		return
	}
	fmt.Fprintf(w, "         question %s: %s\n", q.ID, q.Text)
	for _, a := range sortedNames(q.Answers) {
		fmt.Fprintf(w, "           %s: %s\n", a, q.Answers[a])
	}
}
