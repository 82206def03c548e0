package sim

import (
	"flag"
	"testing"

	"github.com/gitops-fleet/reconcile/reconcile"
)

var survey = flag.Int("survey", 0, "tell what is broken in so many seeds")

// TestSurvey tells of every seed what it breaks.
func TestSurvey(t *testing.T) {
	for s := *first; s < *first+uint64(*survey); s++ {
		if o := Run(Case{Seed: s}, reconcile.Step); o.Broken != nil {
			t.Logf("%d: %.300s", s, o.Broken)
		}
	}
}
