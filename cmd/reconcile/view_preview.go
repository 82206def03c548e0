package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// change is a word of change: its glyph, as in diffs, and what it means.
type change struct{ op, glyph, text string }

var changes = []change{
	{"add", "+", "begins to run here"},
	{"replace", "±", "gets a new version beside the one that serves"},
	{"recreate", "∓", "gets a new version in place of the one that serves"},
	{"update", "~", "is changed in place"},
	{"flip", "⇄", "is served by its other slot"},
	{"back", "←", "goes back"},
	{"delete", "-", "is removed"},
	{"hold", "=", "is held"},
	{"keep", " ", "stays"},
}

func changeOf(op string) change {
	for _, c := range changes {
		if c.op == op {
			return c
		}
	}
	return change{op, op, ""}
}

// writePreview draws a dry-run, one action a line. columns is the width of the
// terminal, 0 if it is none.
func writePreview(w io.Writer, v previewResult, columns int) {
	if c := v.rev.Commit; c.Hash != "" {
		fmt.Fprintf(w, "commit %s by %s: %s\n", c.Short(), c.Author, c.Subject)
	}
	writeNotes(w, v.Notes)
	for _, u := range v.Unseen {
		fmt.Fprintf(w, "note: cannot be seen, and is taken as empty: %s\n", u)
		if u.Hint != "" {
			fmt.Fprintf(w, "  → %s\n", u.Hint)
		}
	}
	if len(v.Changes) == 0 && len(v.Blocked) == 0 && len(v.Rollouts) == 0 {
		fmt.Fprintln(w, "No changes. What runs is what the plan says.")
		writeHeld(w, v.Held, columns)
		return
	}
	writePlannedRollouts(w, v.Rollouts, columns)
	writeUnbatched(w, v.Unbatched, columns)
	writeHeld(w, v.heldBeside(), columns)
	for _, c := range v.Changes {
		word := changeOf(c.Op)
		fmt.Fprintf(w, "%s %s  %s\n", word.glyph, c.Tenant, word.text)
		var t table
		for _, a := range c.Actions {
			t = append(t, []string{"    " + a.Op, shortDigests(a.Target), a.Why})
		}
		t.write(w, columns)
		writeDataEffects(w, c, columns)
		if c.GivesUp != "" {
			fmt.Fprintf(w, "    gives up the way back to %s\n", c.GivesUp)
		}
		if c.Kept != "" {
			fmt.Fprintf(w, "    keeps the way back to %s until %s\n", c.Kept, c.Until.Local().Format("2006-01-02 15:04"))
		}
	}
	if len(v.Ports) > 0 {
		fmt.Fprintln(w, "host ports:")
		var t table
		for _, port := range v.Ports {
			t = append(t, []string{"    " + port.Key.String(), port.Name, fmt.Sprint(port.Port)})
		}
		t.write(w, columns)
	}
	for _, r := range v.Blocked {
		fmt.Fprintf(w, "blocked  %s: %s\n", r.Tenant, r.Why)
		writeQuestion(w, r.Question)
	}
	of := "probes, bakes and drains"
	if slices.ContainsFunc(v.Rollouts, func(r agent.PlannedRollout) bool { return r.Windows != "" }) {
		of = "probes, bakes, drains and closed windows"
	}
	fmt.Fprintf(w, "\n%s; at least %s of %s\n", v.counts(), takesText(v.Takes), of)
}

// counts says how many tenants change in which way.
func (v previewResult) counts() string {
	var parts []string
	for _, c := range changes {
		if n := v.Summary[c.op]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.op))
		}
	}
	if n := v.Summary["later"]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d later", n))
	}
	parts = append(parts, fmt.Sprintf("%d unchanged", v.Summary["unchanged"]))
	if len(v.Blocked) > 0 {
		parts = append(parts, fmt.Sprintf("%d blocked", len(v.Blocked)))
	}
	return strings.Join(parts, ", ")
}

// takesText is a duration to the second; where it is long, in days.
func takesText(d time.Duration) string {
	if d >= 48*time.Hour {
		return spanText(d)
	}
	return d.Round(time.Second).String()
}

var longDigest = regexp.MustCompile(`(sha256:[0-9a-f]{8})[0-9a-f]{56}`)

// shortDigests shortens digests to what people tell them apart by.
func shortDigests(s string) string { return longDigest.ReplaceAllString(s, "$1…") }
