package agentworld

import (
	"flag"
	"testing"
)

var survey = flag.Int("survey", 0, "tell what is broken in so many seeds")

// TestSurvey tells of every seed what it breaks.
func TestSurvey(t *testing.T) {
	for s := *first; s < *first+uint64(*survey); s++ {
		if w := run(t, Case{Seed: s, Tenants: *tenants}, nil); w.broken != nil {
			t.Logf("%d: %.300s", s, w.broken)
		}
	}
}
