package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// writeStatus is the fleet at a glance, one line a tenant. columns is the width
// of the terminal, 0 if it is none; what does not fit is in explain.
func writeStatus(w io.Writer, s statusResult, columns int) {
	writeNotes(w, s.Notes)
	fmt.Fprintf(w, "fleet %s, node %s, commit %s\n", s.Fleet, s.Node, orDash(short(s.Commit)))
	if s.Source.Problem != nil {
		fmt.Fprintf(w, "behind since %s, on the last accepted plan: %s\n", s.Source.Since.Local().Format(time.DateTime), s.Source.Problem)
		if s.Source.Problem.Hint != "" {
			fmt.Fprintf(w, "  → %s\n", s.Source.Problem.Hint)
		}
	}
	if s.Controller != "" {
		fmt.Fprintf(w, "another controller (%s) claims this host's routes\n", s.Controller)
	}
	for _, n := range s.Status.Notices {
		fmt.Fprintf(w, "notice: %s\n", n)
	}
	writeOpenRollouts(w, s.Rollouts, s.Failed)
	if len(s.Tenants) == 0 {
		fmt.Fprintln(w, "no tenants")
		return
	}
	t := table{{"TENANT", "STATE", "SLOT", "GENERATION", "SERVICES", "SINCE", "WHY"}}
	for _, n := range s.Tenants {
		state := string(n.State)
		if n.Reason != "" {
			state += " " + n.Reason
		}
		t = append(t, []string{n.Name, state, orDash(string(n.ActiveSlot)), orDash(generation(n.Generation)),
			services(n.Services), ago(s.Now, n.Since), shortDigests(n.Why)})
	}
	t.write(w, columns)
}

// writeNotes says what a person must know to read what follows.
func writeNotes(w io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintln(w, "note: "+n)
	}
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

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
