package mem_test

import (
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/drivers/mem/memtest"
)

// TestInBubble runs the suites where the simulator of the whole agent runs the
// host: in virtual time, each case in a bubble of its own. A goroutine that is left
// behind, or that waits for what is outside, ends the case.
func TestInBubble(t *testing.T) {
	for name, cases := range map[string][]drivertest.Case{
		"runtime": drivertest.RuntimeCases(memtest.Runtime(mem.AllTraits, bare, memtest.WallClock)),
		"router":  drivertest.RouterCases(memtest.Router(bare, memtest.WallClock)),
		"storage": drivertest.StorageCases(memtest.Storage(bare, memtest.WallClock)),
		"prober":  drivertest.ProberCases(memtest.Prober(bare, memtest.WallClock)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) { synctest.Test(t, c.Run) })
			}
		})
	}
}
