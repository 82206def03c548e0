package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// writePlannedRollouts draws the rollouts of a dry-run, a line for each batch.
func writePlannedRollouts(w io.Writer, list []agent.PlannedRollout, columns int) {
	for _, r := range list {
		word := "would move"
		switch {
		case r.Ends == reconcile.RolloutSuperseded:
			fmt.Fprintf(w, "rollout %s would be closed: a newer release takes its place\n", r.ID)
			continue
		case r.Goes:
			word = "goes on to move"
		}
		fmt.Fprintf(w, "rollout %s %s %d tenants%s by policy %s, at least %s\n", r.ID, word, r.Members, ofTemplate(r.Template), r.Policy, r.Takes.Round(time.Second))
		var t table
		for _, b := range r.Batches {
			t = append(t, []string{"    " + b.Name, fmt.Sprint(len(b.Tenants)), someNames(b.Tenants)})
		}
		for _, p := range r.Passed {
			t = append(t, []string{"    " + string(p.Class), p.Tenant, p.Why})
		}
		t = append(t, []string{"    breaker", "", r.Breaker})
		t.write(w, columns)
		writeQuestion(w, r.Question)
	}
}

// writeOpenRollouts draws the rollouts that are not closed, a line each, and
// what they ask.
func writeOpenRollouts(w io.Writer, list []reconcile.Rollout) {
	for _, r := range list {
		at := "nothing started yet"
		if r.Batch != 0 {
			at = reconcile.BatchName(r.Batch)
		}
		fmt.Fprintf(w, "rollout %s%s is %s, at %s: %s of %d\n", r.ID, ofTemplate(r.Template), r.Phase, at, r.Summary, r.Size)
		writeQuestion(w, r.Question())
	}
}

// ask says that one of the rollouts waits for an answer.
func ask(list []reconcile.Rollout) bool {
	for _, r := range list {
		if r.Question() != nil {
			return true
		}
	}
	return false
}

func ofTemplate(template string) string {
	if template == "" {
		return ""
	}
	return " of template " + template
}

// someNames are the first few names of many.
func someNames(names []string) string {
	const few = 12
	text := strings.Join(names[:min(few, len(names))], ", ")
	if more := len(names) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
