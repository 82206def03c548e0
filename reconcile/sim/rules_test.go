package sim

import (
	"testing"

	"github.com/gitops-fleet/reconcile/reconcile/sim/rules"
)

// TestRulesHaveMutants: a rule that no mistake ever broke may hold nothing.
func TestRulesHaveMutants(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range Mutants {
		caught[m.Rule] = true
	}
	rules.Covered(t, caught)
}
