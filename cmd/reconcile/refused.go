package main

import (
	"fmt"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

// refusedPlan is a plan, or a configuration, that does not hold.
type refusedPlan struct {
	what     string
	commit   source.Commit
	problems []plans.Problem
	authors  map[string]source.Commit // last to touch a file, by its name
}

func (r refusedPlan) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is refused, %s:", r.what, counted(len(r.problems), "problem"))
	for _, p := range r.problems {
		b.WriteString("\n" + line(p))
		if who, ok := r.authors[p.Pos.File]; ok {
			fmt.Fprintf(&b, "\n    last changed by %s <%s> in %s", who.Author, who.Email, who.Short())
		}
	}
	return b.String()
}

// line is a problem as a person reads it: place, text, and what to do.
func line(p plans.Problem) string {
	var b strings.Builder
	b.WriteString("  ")
	if p.Pos.File != "" {
		b.WriteString(p.Pos.File)
		if p.Pos.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Pos.Line, p.Pos.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	if p.Hint != "" {
		b.WriteString("\n    → " + p.Hint)
	}
	return b.String()
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
