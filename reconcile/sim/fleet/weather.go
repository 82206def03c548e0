package fleet

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Weather is what may happen to a fleet in one run. Rates are per turn unless
// they say otherwise; 0 is off. Each run has its own, many of them off
// altogether.
type Weather struct {
	Tenants int
	Turns   int // of the first phase

	Crash float64       // per boundary: before and after what is written down
	Away  time.Duration // longest absence of ours after a crash
	Blind float64       // a part of the tenants cannot be seen for a while
	Sick  float64       // what serves is no good for a while
	Down  float64       // the registry does not answer for a while
	For   time.Duration // at most, of these three
	Jump  float64       // the clock jumps on
	Lag   float64       // share of the permits that reach their tenant late
	Apart float64       // share of the times tenants speak in which not all are heard before the next decision

	Commit float64 // a template gets a new release
	Bad    float64 // share of the releases that are no good for some
	Worst  float64 // share of tenants a bad release fails on, at most
	Back   float64 // share of the commits that go back to an earlier release, good or not
	Edit   float64 // a policy is edited
	Own    float64 // a tenant's own change
	Hold   float64 // a person holds or releases a tenant
	Come   float64 // a newcomer
	Leave  float64 // a tenant is removed
	Answer float64 // a person answers an open question
	Stale  float64 // a person answers an old question again, or one nobody asked
	Word   float64 // a person lifts on the host what was given up
	Repair float64 // what was no good with a release is repaired without a commit
	Prune  float64 // what was kept for the way back goes
}

// draw draws the weather for some tenants.
func draw(r *rand.Rand, tenants int) Weather {
	rate := func(rates ...float64) float64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return rates[r.IntN(len(rates))]
	}
	return Weather{
		Tenants: tenants, Turns: 30 + r.IntN(60),
		Crash: rate(0.005, 0.02, 0.1),
		Away:  []time.Duration{time.Second, 30 * time.Second, time.Hour}[r.IntN(3)],
		Blind: rate(0.02, 0.1), Sick: rate(0.02, 0.1), Down: rate(0.02, 0.1),
		For:  []time.Duration{20 * time.Second, 5 * time.Minute, time.Hour}[r.IntN(3)],
		Jump: rate(0.01, 0.05), Lag: rate(0.05, 0.3),
		Commit: []float64{0.05, 0.1, 0.3}[r.IntN(3)],
		Bad:    rate(0.3, 0.8), Worst: []float64{0.1, 0.5, 1}[r.IntN(3)],
		Back: rate(0.2, 0.5), Edit: rate(0.02, 0.1), Own: rate(0.02, 0.1), Hold: rate(0.02, 0.1),
		Come: rate(0.02, 0.1), Leave: rate(0.02, 0.05),
		Answer: []float64{0.05, 0.3}[r.IntN(2)], Stale: rate(0.05, 0.2), Word: rate(0.02, 0.1),
		Repair: rate(0.02, 0.1), Prune: rate(0.02, 0.1),
		Apart: rate(0.1, 0.5),
	}
}

// String lists what is on.
func (o Weather) String() string {
	type plain Weather
	s := fmt.Sprintf("%+v", plain(o))
	var on []string
	for _, f := range strings.Fields(strings.Trim(s, "{}")) {
		if !strings.HasSuffix(f, ":0") && !strings.HasSuffix(f, ":0s") {
			on = append(on, f)
		}
	}
	return strings.Join(on, " ")
}
