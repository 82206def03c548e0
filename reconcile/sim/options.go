package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Options are the weather of one run. Rates are per turn unless they say
// otherwise; 0 is off. Each run has its own, many of them off altogether: a
// fault that always comes hides what only shows in its absence.
type Options struct {
	Turns int // of the first phase

	// Per call of a driver.
	LostRequest, LostReply, Late float64
	// Per dataset that is made: it is left half made.
	Half float64
	// Per boundary: before and after the journal, before and after each action.
	Crash float64
	Away  time.Duration // longest absence of ours after a crash

	BlindRuntime, BlindRouter, BlindStorage, BlindProber float64
	BlindFor                                             time.Duration // at most

	Registry float64 // the registry is down for a while, as long as blindness
	Full     float64 // the disk is full for a while

	Sick   float64 // an instance answers badly for a while
	Die    float64 // a process ends by itself
	Person float64 // kills, removes, edits or drops something
	Reboot float64
	Proxy  float64 // the data plane restarts
	Jump   float64 // the clock jumps on
	Back   float64 // our clock jumps back
	// Per switch of requests that wait: something fails before anybody looks.
	AtSwitch float64
	Traffic  float64 // a request comes

	Plan   float64 // the plan changes
	Bad    float64 // share of the new images that are no good
	Hold   float64 // a person holds or releases the tenant
	Permit float64 // the rollout changes its mind
	Answer float64 // a person answers an open question
	Retry  float64 // a person says retry, or rollback, on the host
	Prune  float64 // images nobody names are removed
	Remove float64 // share of the changes of plan that remove the tenant

	DataBack float64 // a person sends the data back to a snapshot
}

// drawOptions draws the weather.
func drawOptions(r *rand.Rand) Options {
	rate := func(rates ...float64) float64 {
		if r.IntN(2) == 0 {
			return 0
		}
		return rates[r.IntN(len(rates))]
	}
	return Options{
		Turns:        40 + r.IntN(80),
		LostRequest:  rate(0.01, 0.05, 0.2),
		LostReply:    rate(0.01, 0.05, 0.2),
		Late:         rate(0.01, 0.05, 0.1),
		Crash:        rate(0.01, 0.03, 0.1),
		Away:         []time.Duration{time.Second, 20 * time.Second, 10 * time.Minute}[r.IntN(3)],
		BlindRuntime: rate(0.01, 0.05),
		BlindRouter:  rate(0.01, 0.05),
		BlindStorage: rate(0.01, 0.05),
		BlindProber:  rate(0.01, 0.05),
		BlindFor:     []time.Duration{5 * time.Second, time.Minute, 15 * time.Minute}[r.IntN(3)],
		Sick:         rate(0.01, 0.05),
		Die:          rate(0.01, 0.05),
		Person:       rate(0.01, 0.05),
		Reboot:       rate(0.005, 0.02),
		Proxy:        rate(0.005, 0.02),
		Jump:         rate(0.005, 0.02),
		Back:         rate(0.005, 0.02),
		Traffic:      rate(0.3, 1),
		Plan:         []float64{0.01, 0.03, 0.1}[r.IntN(3)],
		Bad:          rate(0.1, 0.4, 0.8),
		Hold:         rate(0.01, 0.03),
		Permit:       rate(0.01, 0.05),
		Answer:       []float64{0.02, 0.2}[r.IntN(2)],
		Retry:        rate(0.005, 0.02),
		Prune:        rate(0.02, 0.1),
		Remove:       rate(0.05, 0.2),
		Half:         rate(0.05, 0.2),
		Registry:     rate(0.01, 0.05),
		Full:         rate(0.01, 0.05),
		AtSwitch:     rate(0.3, 1),
	}
}

// Calm is weather in which nothing fails.
func (o Options) calm() Options {
	return Options{Turns: o.Turns, Traffic: o.Traffic, Plan: o.Plan, Answer: o.Answer, Away: o.Away, BlindFor: o.BlindFor}
}

// keepsData is the same weather over a tenant that is upgraded often, by versions that
// are good, and whose data a person sends back and forth.
func (o Options) keepsData() Options {
	o.Turns, o.Plan, o.DataBack, o.Answer = 4*o.Turns, 0.05, 0.1, 0.2
	o.Bad, o.Hold, o.Permit, o.Remove = 0, 0, 0, 0
	return o
}

// faulty says that something besides the plan and the traffic may happen.
func (o Options) faulty() bool {
	c := o.calm()
	c.Bad, c.Hold, c.Permit, c.Prune, c.Remove = o.Bad, o.Hold, o.Permit, o.Prune, o.Remove
	return c != o
}

func (o Options) String() string {
	type plain Options
	s := fmt.Sprintf("%+v", plain(o))
	var on []string
	for _, f := range strings.Fields(strings.Trim(s, "{}")) {
		if !strings.HasSuffix(f, ":0") && !strings.HasSuffix(f, ":0s") {
			on = append(on, f)
		}
	}
	return strings.Join(on, " ")
}
