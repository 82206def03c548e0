package agent

import (
	"fmt"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// breakerText says what stops a rollout.
func breakerText(r reconcile.Rollout) string {
	var parts []string
	n := r.Rules.Failures()
	if n == 1 {
		parts = append(parts, "the first failure")
	} else {
		parts = append(parts, fmt.Sprintf("%d failures in a row", n))
	}
	if r.Rules.Canary != nil && n > 1 {
		parts = append(parts, "any in the canary stage")
	}
	if ratio := r.Rules.MaxFailureRatio; ratio > 0 {
		parts = append(parts, fmt.Sprintf("%g %% failed after a whole batch", 100*ratio))
	}
	if floor := r.Rules.MinHealthy; floor != "" {
		parts = append(parts, fmt.Sprintf("fewer than %s healthy", floor))
	}
	then := "stops it and asks"
	if r.Rules.OnTrip != "" {
		then = "stops it, and what was moved goes back"
	}
	return strings.Join(parts, ", or ") + ", " + then
}

// paceText says how many tenants move at a time, where the breaker makes that fewer
// than the batches and parallelism say.
func paceText(p *plans.BatchPolicy, batches []PlannedBatch) string {
	n, most := p.Failures(), 0
	size := map[string]int{} // one moved in part is there twice
	for _, b := range batches {
		size[b.Name] += len(b.Tenants)
		most = max(most, size[b.Name])
	}
	if most <= n || p.Parallelism > 0 && p.Parallelism <= n {
		return ""
	}
	text := fmt.Sprintf("about %d at a time", n) // who is done in between makes room for one more
	if n == 1 {
		text = "one at a time"
	}
	text += fmt.Sprintf(": no more are on the way than could trip the breaker (maxConsecutiveFailures %d)", n)
	if p.Parallelism > 0 {
		text += fmt.Sprintf(", and not parallelism %d", p.Parallelism)
	}
	return text
}

// windowsText says when a policy lets something be started, "" for at any time.
func windowsText(p *plans.BatchPolicy) string {
	var parts []string
	for _, w := range p.Windows {
		days := "daily"
		if len(w.Days) > 0 {
			days = strings.Join(w.Days, " ")
		}
		parts = append(parts, days+" "+w.From+"–"+w.To)
	}
	text := strings.Join(parts, ", ")
	for _, f := range p.Freeze {
		if text != "" {
			text += "; "
		}
		text += "not on " + f.From
		if f.To != "" && f.To != f.From {
			text = strings.TrimSuffix(text, "on "+f.From) + "from " + f.From + " to " + f.To
		}
		if f.Reason != "" {
			text += " (" + f.Reason + ")"
		}
	}
	if text == "" {
		return ""
	}
	zone := "UTC"
	if p.Zone != nil {
		zone = p.Zone.Name
	}
	return text + ", " + zone
}
