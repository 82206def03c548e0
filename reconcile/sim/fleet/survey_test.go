package fleet

import (
	"flag"
	"fmt"
	"testing"
)

var survey = flag.Int("survey", 0, "count the rules broken in so many seeds")

// TestSurvey counts what is broken in many seeds, with the first seed of each.
func TestSurvey(t *testing.T) {
	if *survey == 0 {
		t.Skip("give a number with -survey")
	}
	n, example := map[string]int{}, map[string]string{}
	for s := range uint64(*survey) {
		if o := Run(Case{Seed: *first + s, Tenants: *tenants}, Real); o.Broken != nil {
			n[o.Broken.Rule]++
			if n[o.Broken.Rule] <= 4 {
				example[o.Broken.Rule] += fmt.Sprintf("\n   %d: %s", *first+s, o.Broken.Text)
			}
		}
	}
	for _, rule := range sorted(n) {
		t.Logf("%6d %s%s", n[rule], rule, example[rule])
	}
}
