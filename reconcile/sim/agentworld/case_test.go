package agentworld

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

// Case is one run: a seed, and what of it is left out.
type Case struct {
	Seed    uint64
	Tenants int      // 0: 1 to 5, by the seed
	Steps   int      // of the first phase; 0: 6 to 15, by the seed
	Without []string // fields of weather and of shape
}

// String is how TestSeed is told to make it again.
func (c Case) String() string {
	s := fmt.Sprintf("-seed %d", c.Seed)
	if c.Tenants > 0 {
		s += fmt.Sprintf(" -tenants %d", c.Tenants)
	}
	if c.Steps > 0 {
		s += fmt.Sprintf(" -steps %d", c.Steps)
	}
	if len(c.Without) > 0 {
		s += " -without " + strings.Join(c.Without, ",")
	}
	return s
}

// weather is what may happen in one run.
type weather struct {
	LostRequest, LostReply, Late float64 // per call of a driver
	Crash                        float64 // per commit of the journal
	// Per step.
	Kill, Reboot, Die, Blind float64
	Registry                 float64 // the registry is down for a while
	Full                     float64 // the disk is full for a while
	Journal                  float64 // that of the journal is
	Jump                     float64 // the clock jumps on: the machine slept
	Back                     float64 // our clock is set back
	Hold, Stale, Edit        float64 // a hold, an answer to an old question, another policy
	Come, Leave              float64 // a newcomer, a removal
	// Share of the tenants a version is no good for, or slow to start with.
	Bad, Slow float64
}

// drawWeather draws the weather; one run in five has none.
func drawWeather(r *rand.Rand) weather {
	rate := func(rates ...float64) float64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return rates[r.IntN(len(rates))]
	}
	if r.IntN(5) == 0 {
		return weather{} // nothing else moves: the dry-run must come true
	}
	return weather{LostRequest: rate(0.02, 0.1), LostReply: rate(0.02, 0.1), Late: rate(0.02, 0.05), Crash: rate(0.01, 0.05),
		Kill: rate(0.1, 0.4), Reboot: rate(0.05, 0.1), Die: rate(0.1, 0.3), Blind: rate(0.1, 0.3), Registry: rate(0.1, 0.2), Full: rate(0.1, 0.2),
		Jump: rate(0.05, 0.1), Back: rate(0.05, 0.1), Hold: rate(0.1), Stale: rate(0.2, 0.5), Edit: rate(0.1, 0.2),
		Come: rate(0.05, 0.1), Leave: rate(0.05, 0.1), Bad: rate(0.2, 0.6), Slow: rate(0.3), Journal: rate(0.1)}
}

// shape is what does not change about the tenants of a lane.
type shape struct {
	Recreate bool
	Named    bool   // the plan names the active slot
	Volume   string // mode of its one volume; "" is none
	OnBack   string
	Sidecar  bool
	Job      bool // before the switch
	Second   bool // there is a second lane, with a template and a policy of its own
}

func drawShape(r *rand.Rand) shape {
	maybe := func(n int) bool { return r.IntN(n) == 0 }
	s := shape{Recreate: maybe(4), Named: maybe(8), Sidecar: maybe(3), Job: maybe(4), Second: maybe(3)}
	if maybe(2) {
		s.Volume = []string{plans.Share, plans.Snapshot, plans.Replay, plans.Quiesce, plans.Quiesce}[r.IntN(5)]
		s.OnBack = []string{plans.Stay, plans.Carry, plans.Discard}[r.IntN(3)]
	}
	return s
}

// Shrink makes a run that breaks a rule smaller while the same rule still breaks:
// fewer steps, fewer tenants, less weather, plainer tenants.
func Shrink(w *world, again func(Case) *world) *world {
	rule := w.broken.Rule
	still := func(c Case) bool {
		less := again(c)
		if less.broken == nil || less.broken.Rule != rule {
			return false
		}
		w = less
		return true
	}
	shrink.Number(w.steps+1, 1, func(n int) bool { c := w.c; c.Steps = n; return still(c) })
	shrink.Number(w.number, 1, func(n int) bool { c := w.c; c.Tenants = n; return still(c) })
	shrink.Drop(w.names(), w.c.Without, func(out []string) bool { c := w.c; c.Without = out; return still(c) })
	return w
}

// names are what of a run can be left out.
func (w *world) names() []string {
	names := shrink.Names(&w.o)
	for _, l := range w.lanes {
		names = append(names, shrink.Names(&l.shape)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
