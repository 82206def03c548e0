package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// writePlannedRollouts draws the rollouts of a dry-run: each batch with all of its
// tenants, for this is where a person learns who will be moved with whom.
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
		fmt.Fprintf(w, "rollout %s %s %s%s by policy %s, %s\n", r.ID, word, moversText(&r), ofTemplate(r.Template), r.Policy, lastsText(&r))
		var t table
		members := map[int][]string{} // by row
		for _, b := range r.Batches {
			members[len(t)] = b.Tenants
			name := "    " + b.Name
			if b.Later {
				name += ", later"
			}
			t = append(t, []string{name, fmt.Sprint(len(b.Tenants)), ""})
		}
		for _, p := range r.Passed {
			t = append(t, []string{"    " + string(p.Class), p.Tenant, p.Why})
		}
		if r.Note != "" {
			t = append(t, []string{"    note", "", r.Note})
		}
		if r.Pace != "" {
			t = append(t, []string{"    pace", "", r.Pace})
		}
		if r.Windows != "" {
			t = append(t, []string{"    windows", "", r.Windows})
		}
		if r.Approval != "" {
			t = append(t, []string{"    approval", "", r.Approval})
		}
		t = append(t, []string{"    breaker", "", r.Breaker})
		if r.Waits != "" && r.Question == nil {
			t = append(t, []string{"    waits", "", r.Waits})
		}
		t.spread(members, columns).write(w, columns)
		writeQuestion(w, r.Question)
		for _, a := range r.Answers {
			then := fmt.Sprintf("%s after %s: %s", a.Ends, a.Takes.Round(time.Second), a.Summary)
			if a.Asks != "" {
				then += "; then it asks: " + a.Asks
			}
			fmt.Fprintf(w, "           played, %s: %s\n", a.Answer, then)
		}
	}
}

// moversText says how many of its members a rollout moves.
func moversText(r *agent.PlannedRollout) string {
	if r.Moves == r.Members {
		return counted(r.Members, "tenant")
	}
	return fmt.Sprintf("%d of %s", r.Moves, counted(r.Members, "tenant"))
}

// lastsText says how long a rollout takes, as far as that can be told.
func lastsText(r *agent.PlannedRollout) string {
	text := "at least " + takesText(r.Takes)
	if r.Later() {
		text += " until it waits"
	}
	return text
}

// writeUnbatched draws the changes of tenants without a batch policy.
func writeUnbatched(w io.Writer, list []agent.PlannedChange, columns int) {
	for _, c := range list {
		fmt.Fprintf(w, "change%s, without a batch policy: %s\n", ofTemplate(c.Template), c.Breaker)
		var t table
		members := map[int][]string{}
		if len(c.Tenants) > 0 {
			members[0] = c.Tenants
			t = append(t, []string{"    order", fmt.Sprint(len(c.Tenants)), ""})
		}
		for _, p := range c.Passed {
			t = append(t, []string{"    " + string(p.Class), p.Tenant, p.Why})
		}
		t.spread(members, columns).write(w, columns)
	}
}

// heldBeside are the tenants nobody touches that no rollout and no change lists.
func (v previewResult) heldBeside() (list []agent.PassedOver) {
	listed := map[string]bool{}
	for _, r := range v.Rollouts {
		for _, p := range r.Passed {
			listed[p.Tenant] = true
		}
	}
	for _, c := range v.Unbatched {
		for _, p := range c.Passed {
			listed[p.Tenant] = true
		}
	}
	for _, p := range v.Held {
		if !listed[p.Tenant] {
			list = append(list, p)
		}
	}
	return list
}

// writeHeld draws the tenants nobody touches.
func writeHeld(w io.Writer, list []agent.PassedOver, columns int) {
	word := changeOf("hold")
	var t table
	for _, p := range list {
		t = append(t, []string{word.glyph + " " + p.Tenant, word.text + ": " + p.Why})
	}
	t.write(w, columns)
}

// writeOpenRollouts draws the rollouts that are not closed, a line each, who of
// them failed, and what they ask.
func writeOpenRollouts(w io.Writer, list []reconcile.Rollout, failed []agent.FailedTenant) {
	for _, r := range list {
		at := "nothing started yet"
		if r.Batch != 0 {
			at = reconcile.BatchName(r.Batch)
		}
		fmt.Fprintf(w, "rollout %s%s is %s, at %s: %s of %d\n", r.ID, ofTemplate(r.Template), r.Phase, at, r.Summary, r.Size)
		if r.Note != "" {
			fmt.Fprintf(w, "         note: %s\n", r.Note)
		}
		if r.Question() == nil && r.Gate.Why != "" {
			fmt.Fprintf(w, "         waits for %s: %s; %s\n", r.Gate.For, r.Gate.Why, r.Gate.Next)
		}
		writeFailed(w, r.ID, failed)
		if q := r.Question(); q != nil {
			writeQuestion(w, q)
			fmt.Fprintf(w, "         → %s\n", howToAnswer(r.ID))
		}
	}
}

// writeFailed says of the first few that failed in a rollout why, and shows the
// end of their last output.
func writeFailed(w io.Writer, rollout string, failed []agent.FailedTenant) {
	const few, lines = 4, 3
	n := 0
	for _, f := range failed {
		if f.Rollout != rollout {
			continue
		}
		if n++; n > few {
			continue
		}
		fmt.Fprintf(w, "         failed %s: %s; %s\n", f.Tenant, orDash(f.Why), backText(f.Failure))
		writeLogEnd(w, f.Log, lines)
	}
	if n > few {
		fmt.Fprintf(w, "         failed and %d more: reconcile rollout show %s\n", n-few, rollout)
	}
}

// backText says whether a tenant that failed is back.
func backText(f reconcile.Failure) string {
	switch {
	case f.Restored && f.RanNothing:
		return "it ran nothing before, and serves nothing"
	case f.Restored:
		return "it serves what it served before"
	case f.Moves:
		return "it is on its way back"
	}
	return "it is not back: reconcile explain " + f.Tenant
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
