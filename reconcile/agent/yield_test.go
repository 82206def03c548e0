package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// What serves is repaired at once, also while a pull of the next version takes an
// hour; the pull goes on after it, and is not given up for ever.
func TestRepairDoesNotWaitForAPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, config := slowly(20 * time.Minute)
		w := newWorld(t, fleet("c1", 1, "app1"), config)
		w.pass()
		w.want(reconcile.Converged)
		w.agent.SetPlan(fleet("c2", 1, "app2"))
		key := plans.Key{Tenant: "t00", Slot: plans.Blue, Service: "app"}
		var longest time.Duration
		kills := 0
		go func() {
			// Far enough apart to be no flapping, and more often than a pull gives way.
			for kills < maxYields+1 {
				time.Sleep(6 * time.Minute)
				w.host.Kill(key)
				kills++
				killed := time.Now()
				for !w.serves(key) {
					time.Sleep(time.Second)
				}
				if kills <= maxYields {
					longest = max(longest, time.Since(killed))
				}
			}
		}()
		w.pass()
		w.want(reconcile.Converged)
		if kills != maxYields+1 || *s.cancelled != maxYields {
			t.Errorf("killed %d times, %d pulls gave way, want %d", kills, *s.cancelled, maxYields)
		}
		if longest > 10*time.Second {
			t.Errorf("what serves was down for %s", longest)
		}
	})
}

func (w *world) serves(key plans.Key) bool {
	seen, _, err := w.host.Runtime().Observe(w.t.Context(), key.Tenant)
	if err != nil {
		return false
	}
	for _, i := range seen {
		if i.Key == key {
			return i.Phase == observed.Running
		}
	}
	return false
}
