package reconcile_test

import (
	"testing"

	"github.com/gitops-fleet/reconcile/plans/pure"
)

// TestPure: the core reads no clock, disk, network or random number, starts no
// goroutine, and never walks a map in Go's order.
func TestPure(t *testing.T) {
	found, err := pure.Check(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}
