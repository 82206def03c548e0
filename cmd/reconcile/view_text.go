package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// eventLine is one event in one line: when, who, what.
func eventLine(e reconcile.Event) string {
	return fmt.Sprintf("%s  %-12s %-18s %s", e.Time.Local().Format("15:04:05"), orDash(e.Tenant), e.Kind, e.Text)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeOutcome sums a pass up.
func writeOutcome(w io.Writer, o agent.Outcome) {
	for _, r := range o.Blocked {
		fmt.Fprintf(w, "blocked  %s: %s\n", r.Tenant, r.Why)
		if r.Question != nil {
			fmt.Fprintf(w, "         question %s: %s\n", r.Question.ID, r.Question.Text)
			for _, a := range sortedNames(r.Question.Answers) {
				fmt.Fprintf(w, "           %s: %s\n", a, r.Question.Answers[a])
			}
		}
		fmt.Fprintf(w, "         → reconcile explain %s\n", r.Tenant)
	}
	for _, r := range o.Waiting {
		fmt.Fprintf(w, "waiting  %s: %s\n", r.Tenant, r.Why)
	}
	for _, d := range o.Due {
		if d.What != "" {
			fmt.Fprintf(w, "later    %s: %s\n", d.Tenant, d.What)
		}
	}
	switch {
	case len(o.Blocked) > 0 || len(o.Waiting) > 0:
		fmt.Fprintf(w, "not done: %d blocked, %d waiting (%d actions in %s)\n", len(o.Blocked), len(o.Waiting), o.Actions, o.Took.Round(10*time.Millisecond))
	case o.Actions == 0:
		fmt.Fprintln(w, "No changes. Every tenant is where the plan wants it.")
	default:
		fmt.Fprintf(w, "done: every tenant is where the plan wants it (%d actions in %s)\n", o.Actions, o.Took.Round(10*time.Millisecond))
	}
}

// writeStatus is the fleet at a glance.
func writeStatus(w io.Writer, s agent.Status) {
	fmt.Fprintf(w, "fleet %s, node %s, commit %s\n", s.Fleet, s.Node, orDash(short(s.Commit)))
	if s.Source.Problem != nil {
		fmt.Fprintf(w, "behind: %s (since %s)\n", s.Source.Problem, s.Source.Since.Local().Format(time.DateTime))
	}
	if len(s.Tenants) == 0 {
		fmt.Fprintln(w, "no tenants")
		return
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "TENANT\tSTATE\tSLOT\tGENERATION\tSERVICES\tSINCE\tWHY")
	for _, n := range s.Tenants {
		state := string(n.State)
		if n.Reason != "" {
			state += " " + n.Reason
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, state, orDash(string(n.ActiveSlot)), orDash(generation(n.Generation)),
			services(n.Services), ago(s.Now, n.Since), n.Why)
	}
	t.Flush()
}

// services counts how many of how many are well.
func services(list []agent.ServiceStatus) string {
	well := 0
	for _, s := range list {
		if s.Running && s.Healthy {
			well++
		}
	}
	return fmt.Sprintf("%d/%d", well, len(list))
}

// generation is a digest as people tell it apart.
func generation(g string) string {
	version, digest, ok := strings.Cut(g, ":")
	if !ok || len(digest) < 8 {
		return g
	}
	return version + ":" + digest[:8]
}

func short(commit string) string {
	if len(commit) > 10 {
		return commit[:10]
	}
	return commit
}

// ago is a span as a person says it.
func ago(now, then time.Time) string {
	if then.IsZero() {
		return "-"
	}
	d := now.Sub(then)
	switch {
	case d < 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
