package fleet

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// product is a template and what the plan says of it at one moment.
type product struct {
	name    string
	now     say
	history []say
}

// say is what a template says.
type say struct {
	core, aside, live string
	active            plans.Slot
}

func (s say) release() string { return fmt.Sprint(s.core, "+", s.aside, "+", s.live, "+", s.active) }

func (s say) target() target {
	return target{Active: s.active, Core: s.core, Aside: s.aside, Live: s.live}
}

// drawPolicy draws a policy of a name.
func drawPolicy(r *rand.Rand, name string) plans.BatchPolicy {
	p := plans.BatchPolicy{
		Name: name, MaxConsecutiveFailures: r.IntN(4), Parallelism: max(0, r.IntN(6)-2),
		Stagger: plans.Duration(r.IntN(3)) * 10 * plans.Second, Bake: plans.Duration(r.IntN(4)) * 60 * plans.Second,
	}
	switch r.IntN(3) {
	case 0:
		p.BatchPct = 1 + r.IntN(100)
	case 1:
		p.BatchSize = 1 + r.IntN(6)
	}
	if r.IntN(2) == 0 {
		p.Canary = &plans.Canary{Count: r.IntN(3), Bake: plans.Duration(r.IntN(3)) * 300 * plans.Second}
		if r.IntN(2) == 0 {
			p.Canary.Select = map[string]string{"ring": "a"}
		}
	}
	if r.IntN(3) == 0 {
		p.Rings = []string{"b", "a"}
	}
	if r.IntN(3) == 0 {
		p.MaxFailureRatio = []float64{0.1, 0.3, 1}[r.IntN(3)]
	}
	if r.IntN(4) == 0 {
		p.OnTrip = plans.Rollback
	}
	if r.IntN(5) == 0 {
		p.MinHealthy = []plans.Floor{"1", "3", "50%", "90%"}[r.IntN(4)]
	}
	if r.IntN(8) == 0 {
		p.Windows = []plans.Window{{From: "01:00", To: "03:30"}, {From: "22:15", To: "00:30"}}[r.IntN(2):]
	}
	if r.IntN(10) == 0 {
		p.Freeze = []plans.Freeze{{From: "2026-01-05", To: "2026-01-06", Reason: "month end"}}
	}
	if r.IntN(8) == 0 {
		p.Approval = plans.PerBatch
	}
	return p
}

// paces of tenants in the runs of seeds.
func drawPace(r *rand.Rand) pace {
	p := pace{within: 30 * time.Second, bake: 20 * time.Second, serving: 25 * time.Second, soak: time.Hour,
		notice: 6 * time.Second, undo: 5 * time.Second, recreate: r.IntN(4) == 0}
	if r.IntN(4) == 0 {
		p.bake, p.serving = 5*time.Minute, 5*time.Minute+10*time.Second
	}
	return p
}

// luckOf is a number from 0 to 1 that belongs to words and a seed.
func luckOf(seed uint64, words ...string) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, seed)
	for _, w := range words {
		h.Write([]byte{0})
		h.Write([]byte(w))
	}
	return float64(h.Sum64()>>11) / (1 << 53)
}
