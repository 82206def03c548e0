package sim

import (
	"testing"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestDrills holds S7: whatever boundary we die at, the tenant ends as it would
// have ended.
func TestDrills(t *testing.T) {
	for _, d := range Drills {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			want, first, boundaries, out := d.Run(reconcile.Step, -1, false)
			if out.Broken != nil {
				_, _, _, out = d.Run(reconcile.Step, -1, true)
				t.Fatal(out)
			}
			t.Logf("%d boundaries; ends as\n%s", boundaries-first, want)
			if d.First {
				first = 0
			}
			for cut := first; cut < boundaries; cut++ {
				got, _, _, out := d.Run(reconcile.Step, cut, false)
				if out.Broken != nil || got != want {
					_, _, _, out = d.Run(reconcile.Step, cut, true)
					t.Fatalf("killed at boundary %d of %d it ends as\n%s\nwant\n%s\n%s", cut, boundaries, got, want, out)
				}
			}
		})
	}
}
