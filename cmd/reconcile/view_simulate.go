package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile/sim/fleet"
)

// writeSimulation shows what each change came to: how often it ended how, then
// what half of the runs, nine of ten and the worst did not exceed.
func writeSimulation(w io.Writer, r fleet.Result) {
	fmt.Fprintf(w, "%s, a new version fails on %s of them; %s from seed %d on\n",
		counted(r.Tenants, "tenant"), percent(r.Fail), counted(r.Seeds, "run"), r.First)
	for i := range r.Waves {
		v := &r.Waves[i]
		held := ""
		if v.Held > 0 {
			held = fmt.Sprintf(", %d of them held and not moved", v.Held)
		}
		fmt.Fprintf(w, "\n%s%s: %s%s\n", policyText(v.Policy), ofTemplate(v.Template), counted(v.Tenants, "tenant"), held)
		runs := float64(max(1, v.Completed+v.Tripped+v.RolledBack+v.Other))
		for _, e := range []struct {
			n    int
			text string
		}{
			{v.Completed, "every tenant is moved"}, {v.Tripped, "the breaker trips, and a person is asked"},
			{v.RolledBack, "the breaker trips, and what was moved goes back"}, {v.Other, "it neither moves all nor trips"},
		} {
			if e.n > 0 {
				fmt.Fprintf(w, "  %7s  %s\n", percent(float64(e.n)/runs), e.text)
			}
		}
		for _, g := range v.Waits {
			then := ""
			if g.Next != "" {
				then = "; " + g.Next
			}
			fmt.Fprintf(w, "           in %s it waits for %s: %s%s\n", counted(g.Runs, "run"), g.For, g.Why, then)
		}
		t := table{{"", "half of the runs", "9 of 10", "worst"}}
		if v.Completed > 0 {
			t = append(t, spreadRow("  takes, where all are moved", v.Duration))
		}
		if v.Tripped+v.RolledBack > 0 {
			t = append(t, spreadRow("  until it trips, where it does", v.Stopped))
		}
		t = append(t, countRow("  tenants broken at once", v.Broken), countRow("  tenants that fail", v.Failed), countRow("  on the new version at the end", v.Moved))
		t.write(w, 0)
	}
	for i := range r.Waves {
		if r.Waves[i].Policy == "" {
			fmt.Fprintln(w, "\nTenants without a batchPolicy move one at a time, and none after the first that failed.")
			break
		}
	}
}

func spreadRow(name string, s fleet.Spread) []string {
	return []string{name, spanText(s.P50), spanText(s.P90), spanText(s.Max)}
}

func countRow(name string, c fleet.Count) []string {
	return []string{name, fmt.Sprint(c.P50), fmt.Sprint(c.P90), fmt.Sprint(c.Max)}
}

// spanText is a duration as people plan with it.
func spanText(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return d.Round(100 * time.Millisecond).String()
}

// percent is a share to a tenth.
func percent(share float64) string { return fmt.Sprintf("%g %%", math.Round(share*1000)/10) }

func policyText(policy string) string {
	if policy == "" {
		return "without a policy,"
	}
	return "policy " + policy
}
