package durability

import (
	"fmt"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
)

// upgrades is how often a story upgrades its tenant; short is how often where the
// processor is emulated and the time is short.
func upgrades(short int) int {
	if vm.Slow() && !*soak {
		return short
	}
	return 20
}

// upgrade brings ant to a version in one pass, and returns how long that took.
func (w *world) upgrade(version string) time.Duration {
	w.t.Helper()
	began := time.Now()
	w.release(version, nil)
	planned := time.Since(began)
	r := w.pass(0)
	w.answers(version)
	w.t.Logf("%s: planned in %s, upgraded in %s", version, planned.Round(time.Millisecond), r.Took.Round(time.Millisecond))
	return r.Took
}

// A writer under load is upgraded again and again, each time on a clone of its
// data: no request fails, and what was acknowledged is there.
func TestQuiesced(t *testing.T) {
	w := newWorld(t, plan{mode: "quiesce"})
	w.release("1.0", nil)
	w.pass(0)
	run := w.crowd()
	var longest time.Duration
	number := upgrades(3)
	for n := range number {
		longest = max(longest, w.upgrade(fmt.Sprintf("2.%d", n)))
	}
	result := w.unharmed(run)
	t.Logf("%d upgrades, the longest took %s; %d numbers acknowledged, all of them there; longest hold %s; %s",
		number, longest.Round(time.Millisecond), len(result.Posted), result.Kinds[load.Post].Slowest.Round(time.Millisecond), result)
}

// An application that catches up from a peer needs no hold: its new version
// starts on a clone, takes what it missed, and is led to once it has it.
func TestReplayed(t *testing.T) {
	vm.Only(t) // a copy of a directory under writes is torn, and refused
	p := newPeer(t, think())
	w := newWorld(t, plan{mode: "replay", env: `, FOLLOW: "` + p.URL + `"`})
	w.release("1.0", nil)
	w.pass(0)
	run := w.press(map[load.Kind]int{load.Get: 4, load.Fresh: 2})
	number := upgrades(2)
	for n := range number {
		w.upgrade(fmt.Sprintf("2.%d", n))
	}
	result := run.Stop()
	if result.Failed() > 0 {
		t.Errorf("%s: %q", result, result.Errors())
	}
	// Whatever clone it went through, the ledger is what the peer told, in order.
	had := p.count()
	w.until("the writer catches up", func() bool { return len(w.told()) >= had })
	for n, number := range w.ledger() {
		if number != fmt.Sprint(n) {
			t.Fatalf("number %d of the ledger is %s", n, number)
		}
	}
	t.Logf("%d upgrades, %d numbers replayed; %s", number, had, result)
}
