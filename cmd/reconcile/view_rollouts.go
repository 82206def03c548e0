package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// writeRollouts draws one line for each rollout.
func writeRollouts(w io.Writer, list []agent.RolloutView, s screen) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No rollouts. Nothing spreads over several tenants by a BatchPolicy, or did lately.")
		return
	}
	t := table{{"ROLLOUT", "TEMPLATE", "PHASE", "AT", "DONE", "BECAME", "PLANNED", "ENDS", "WHY"}}
	for i := range list {
		r := &list[i]
		t = append(t, []string{r.ID, orDash(r.Template), string(r.Phase), atBatch(&r.Rollout), fmt.Sprintf("%d/%d", r.Done, r.Size),
			r.Summary.String(), r.Planned.Local().Format(time.DateTime), ends(r), orDash(whyOf(r))})
	}
	t.write(w, s.columns)
	for i := range list {
		if q := list[i].Question; q != nil {
			fmt.Fprintf(w, "%s asks: reconcile rollout show %s\n", list[i].ID, list[i].ID)
		}
	}
}

func atBatch(r *reconcile.Rollout) string {
	if r.Batch == 0 {
		return "-"
	}
	return reconcile.BatchName(r.Batch)
}

// ends is when a rollout ended, or will if all goes well.
func ends(r *agent.RolloutView) string {
	switch {
	case !r.Ended.IsZero():
		return r.Ended.Local().Format(time.DateTime)
	case !r.ETA.IsZero() && r.Question == nil:
		return "about " + clockText(r.ETA, r.Since)
	}
	return "-"
}

// clockText is a time of day, with its day where that is another than that of
// the time it is read beside.
func clockText(t, beside time.Time) string {
	if t, beside = t.Local(), beside.Local(); t.YearDay() == beside.YearDay() && t.Year() == beside.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

func whyOf(r *agent.RolloutView) string {
	if r.Why != "" {
		return r.Why
	}
	return r.Gate.Why
}

// writeRollout draws one rollout whole: its batches as rows of tenants, then
// what failed and what is asked.
func writeRollout(w io.Writer, r agent.RolloutView, s screen) {
	var b strings.Builder
	s.header(&b, &r)
	b.WriteString("\n")
	s.batches(&b, &r, 0)
	b.WriteString("\n" + s.legend(&r) + "\n")
	writeFailures(&b, &r, len(r.Batches)*r.Size, true)
	writeRolloutAsks(&b, &r)
	io.WriteString(w, b.String()) // a reader that went away is told by the next write
}

// header says where a rollout is and what it waits for.
func (s screen) header(b *strings.Builder, r *agent.RolloutView) {
	line := func(word, text string) {
		columns := len(text)
		if s.columns > 0 {
			columns = max(20, s.columns-11)
		}
		for _, part := range paragraph(text, columns) {
			fmt.Fprintln(b, cut(fmt.Sprintf("  %-8s %s", word, part), s.columns))
			word = ""
		}
	}
	b.WriteString(s.paint(cut("rollout "+r.ID+ofTemplate(r.Template)+", by policy "+r.Policy, s.columns), bold) + "\n")
	at := string(r.Phase) + " since " + clockText(r.Since, r.Planned)
	switch {
	case r.Phase.Closed():
		at = fmt.Sprintf("%s at %s, after %s", r.Phase, r.Ended.Local().Format(time.DateTime), r.Ended.Sub(r.Planned).Round(time.Second))
	case r.Batch != 0:
		at += ", " + s.ofBatches(r)
	}
	fmt.Fprintln(b, cut(fmt.Sprintf("  %s: %d of %d done", at, r.Done, r.Size), s.columns))
	if r.Why != "" {
		line("why", r.Why)
	}
	if g := r.Gate; g.For != "" && !r.Phase.Closed() {
		text := g.Why
		if g.For == reconcile.GateQuestion {
			text, g.Next = "for a person's answer, below", ""
		}
		if !g.Until.IsZero() && g.For == reconcile.GateHealth { // the others say when with what is next
			text += ", until " + clockText(g.Until, r.Since)
		}
		if g.Next != "" {
			text += "; then " + g.Next
		}
		line("waits", text)
	}
	if r.Note != "" {
		line("note", r.Note)
	}
	if !r.ETA.IsZero() && r.Question == nil {
		line("ends", "about "+clockText(r.ETA, r.Since)+", if nothing fails")
	}
	line("stops", r.Breaker)
	for _, d := range r.Local {
		line("told", fmt.Sprintf("%s %s on this host at %s%s", d.Question, d.Answer, clockText(d.At, r.Since), reasonText(d.Reason)))
	}
}

func reasonText(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// ofBatches is "batch 2 of 6".
func (s screen) ofBatches(r *agent.RolloutView) string {
	last := 0
	for _, b := range r.Batches {
		last = max(last, b.Number)
	}
	if last == 0 || r.Batch < 0 {
		return reconcile.BatchName(r.Batch)
	}
	return fmt.Sprintf("%s of %d", reconcile.BatchName(r.Batch), last)
}

// batches draws a row for each batch, in at most so many lines (0: any number).
// What has no room loses names, then the rows of what is passed and to come.
func (s screen) batches(b *strings.Builder, r *agent.RolloutView, lines int) {
	rows := s.rowsOf(r.Batches, true)
	if lines > 0 && len(rows) > lines {
		rows = s.rowsOf(r.Batches, false)
	}
	if lines > 0 && len(rows) > lines {
		rows = s.around(r, lines)
	}
	for _, row := range rows {
		b.WriteString(row + "\n")
	}
}

// batchColumn is the width of a batch's name and state.
const batchColumn = 20

func (s screen) rowsOf(batches []agent.BatchView, named bool) (rows []string) {
	for i := range batches {
		batch := &batches[i]
		cells := make([]cell, len(batch.Members))
		for j := range batch.Members {
			cells[j] = s.cell(&batch.Members[j], named)
		}
		gap := "  "
		if !named {
			gap = ""
		}
		columns := 0
		if s.columns > 0 {
			columns = max(20, s.columns-batchColumn)
		}
		for j, line := range wrap(cells, columns, gap) {
			head := strings.Repeat(" ", batchColumn)
			if j == 0 {
				head = fmt.Sprintf("  %-10s%-8s", batch.Name, batch.State)
			}
			if j == 0 && batch.State == "open" {
				head = s.paint(head, bold)
			}
			rows = append(rows, head+line)
		}
	}
	return rows
}

// around draws the rows near the batch under way, and counts the others.
func (s screen) around(r *agent.RolloutView, lines int) []string {
	open := slices.IndexFunc(r.Batches, func(b agent.BatchView) bool { return b.State != "passed" })
	if open < 0 {
		open = len(r.Batches) - 1
	}
	from, to := open, open+1
	shown := s.rowsOf(r.Batches[from:to], false)
	for room := lines - 2; ; {
		grown := false
		for _, next := range [][2]int{{from, to + 1}, {from - 1, to}} {
			if next[0] < 0 || next[1] > len(r.Batches) {
				continue
			}
			if more := s.rowsOf(r.Batches[next[0]:next[1]], false); len(more) <= room {
				from, to, shown, grown = next[0], next[1], more, true
			}
		}
		if !grown {
			break
		}
	}
	if room := max(1, lines-2); len(shown) > room {
		shown = shown[:room]
	}
	var rows []string
	if from > 0 {
		rows = append(rows, cut(fmt.Sprintf("  (%s before: %s)", counted(from, "row"), countMarks(r.Batches[:from])), s.columns))
	}
	rows = append(rows, shown...)
	if rest := len(r.Batches) - to; rest > 0 {
		rows = append(rows, cut(fmt.Sprintf("  (%s after: %s)", counted(rest, "row"), countMarks(r.Batches[to:])), s.columns))
	}
	return rows
}

// countMarks says how many members of batches are what.
func countMarks(batches []agent.BatchView) string {
	n := map[string]int{}
	for i := range batches {
		for j := range batches[i].Members {
			n[markFor(&batches[i].Members[j]).class]++
		}
	}
	var parts []string
	for _, m := range marks {
		if n[m.class] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[m.class], m.word))
		}
	}
	return strings.Join(parts, ", ")
}

// legend explains the marks that are there, with how many of each.
func (s screen) legend(r *agent.RolloutView) string {
	n := map[string]int{}
	for i := range r.Batches {
		for j := range r.Batches[i].Members {
			n[markFor(&r.Batches[i].Members[j]).class]++
		}
	}
	var cells []cell
	for _, m := range marks {
		if n[m.class] > 0 {
			text := fmt.Sprintf("%s %d %s", m.glyph, n[m.class], m.word)
			cells = append(cells, cell{s.paint(text, m.colour), len([]rune(text))})
		}
	}
	columns := 0
	if s.columns > 0 {
		columns = s.columns - 2
	}
	return "  " + strings.Join(wrap(cells, columns, "  "), "\n  ")
}

// writeFailures says of each failed member why, at most of so many, with their
// last output where logs is set.
func writeFailures(b *strings.Builder, r *agent.RolloutView, most int, logs bool) {
	n := 0
	for i := range r.Batches {
		for j := range r.Batches[i].Members {
			m := &r.Batches[i].Members[j]
			if m.Class != string(reconcile.ClassFailed) {
				continue
			}
			if n++; n > most {
				continue
			}
			fmt.Fprintf(b, "failed   %s: %s; %s\n", m.Tenant, orDash(m.Why), backText(m.Failure()))
			if logs {
				writeLog(b, m.Log)
			}
		}
	}
	if n > most && most > 0 {
		fmt.Fprintf(b, "failed   and %d more: reconcile rollout show %s\n", n-most, r.ID)
	}
}

// writeRolloutAsks shows the question, and what else a person may do.
func writeRolloutAsks(b *strings.Builder, r *agent.RolloutView) {
	if q := r.Question; q != nil {
		fmt.Fprintf(b, "question %s, since %s\n    %s\n", q.ID, q.Since.Local().Format(time.DateTime), q.Text)
		for _, a := range sortedNames(q.Answers) {
			fmt.Fprintf(b, "    %s: %s\n", a, q.Answers[a])
		}
		fmt.Fprintf(b, "    → %s\n", howToAnswer(r.ID)) // it asks one question at a time
	}
	if r.BackQuestion != "" && r.Phase == reconcile.RolloutCompleted {
		fmt.Fprintf(b, "back     reconcile revert --rollout %s in a clone of the plans, or reconcile rollback --rollout %s --local here\n", r.ID, r.ID)
	}
}
