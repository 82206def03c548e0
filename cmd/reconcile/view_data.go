package main

import (
	"io"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// writeDataEffects says what a change does with the data, and whether the way
// back from it is there: a line for each thing it needs.
func writeDataEffects(w io.Writer, c agent.Change, columns int) {
	var t table
	for _, e := range c.Data {
		if e.How == "create" {
			continue // the action says so
		}
		t = append(t, []string{"    data", e.Volume + ": " + e.Text()})
	}
	t.write(w, columns)
	t = nil
	if b := c.WayBack; b != nil {
		for _, line := range b.Checks {
			mark := "✓"
			if !line.OK {
				mark = "✗"
			}
			t = append(t, []string{"    way back", mark + " " + line.ID[len("way-back/"):], line.Text})
		}
	}
	t.write(w, columns)
}
