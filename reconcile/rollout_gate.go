package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// GateFor is what a rollout waits for.
type GateFor string

// What a rollout may wait for before it goes on.
const (
	GateHealth   GateFor = "health"     // tenants on their way, or not well
	GateBake     GateFor = "bake"       // the batch is well and must stay so
	GateStagger  GateFor = "stagger"    // the pause between two starts
	GateUnknown  GateFor = "unknown"    // something cannot be seen, or is down that is nobody's fault
	GateQuestion GateFor = "question"   // a person
	GateFloor    GateFor = "minHealthy" // more healthy tenants than there are
	GateWindow   GateFor = "window"     // the next window in which it may start something
)

// Gate is what a rollout waits for now, with its reason. The zero Gate is that
// of a closed rollout.
type Gate struct {
	For GateFor `json:"for"`
	// Why is a sentence, Next says what comes then.
	Why  string `json:"why"`
	Next string `json:"next,omitempty"`
	// Since is when it began to wait for it, Until when time alone opens the
	// gate; zero: something has to happen.
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"`
}

func (g Gate) same(o Gate) bool {
	return g.For == o.For && g.Why == o.Why && g.Next == o.Next && g.Since.Equal(o.Since) && g.Until.Equal(o.Until)
}

// holdsAll is what nobody of the rollout is started for, in words; "" where it
// is a matter of turns. Times are told by the clock of the policy.
func (g *Gate) holdsAll(zone *plans.Zone) string {
	switch {
	case g.For == GateWindow && !g.Until.IsZero():
		return g.Why + ", until " + zone.Text(g.Until)
	case g.For == GateWindow:
		return g.Why
	case g.For == GateQuestion:
		return "a person is asked"
	}
	return ""
}

// waits notes what the rollout waits for; time opens the gate at until.
func (d *decision) waits(why GateFor, text, next string, until time.Time) {
	d.gate = Gate{For: why, Why: text, Next: next, Until: until}
}

// closeGate brings the gate and the phase of a rollout that goes on in line with
// what it waits for.
func (d *decision) closeGate() {
	a, g := d.run, d.gate
	if !g.Until.IsZero() {
		d.wakeAt(g.Until)
	}
	if g.Since = a.Gate.Since; g.For != a.Gate.For {
		g.Since = d.now
	}
	if !g.same(a.Gate) {
		// Whoever waits says what for.
		d.whole = d.whole || g.holdsAll(d.rules.Zone) != a.Gate.holdsAll(d.rules.Zone)
		a.Gate, a.dirty = g, true
	}
	phase := RolloutRunning
	switch {
	case a.Phase == RolloutRollingBack:
		return
	case a.Trip != nil, g.For == GateQuestion, g.For == GateWindow, g.For == GateUnknown, g.For == GateFloor:
		phase = RolloutWaiting
	case a.Batch == 0:
		phase = RolloutPlanning
	}
	if phase != a.Phase {
		a.Phase, a.dirty = phase, true
		a.Since = d.now
	}
}

// waitsForMotion says what is on its way.
func (d *decision) waitsForMotion(then string) {
	a := d.run
	for name := range plans.Sorted(a.unseen) {
		d.waitsForSight(name)
		return
	}
	text := plural(a.unfinished, "tenant is", "tenants are") + " on the way"
	var until time.Time
	for name := range plans.Sorted(a.unwell) {
		m := a.byName[name]
		text = name + " reached its target and is not well"
		until = m.Unwell.Add(a.patience())
		break
	}
	d.waits(GateHealth, text, then, until)
}

// waitsForSight says that a tenant cannot be seen, or waits for something that
// is down and nobody's fault: what is started next could not be judged.
func (d *decision) waitsForSight(name string) {
	why := name + " cannot be seen"
	if s := d.all.seats[name]; s != nil && (s.report.Unseen != "" || s.report.Why != "") {
		why = name + ": " + s.unseenText()
	}
	d.waits(GateUnknown, why, "goes on once it is seen again; it is tried again with growing pauses", time.Time{})
}

// waitsForWord says that not every tenant has been looked at since we started: how
// many of them are well is not known, nor what those of the batch came to.
func (d *decision) waitsForWord() {
	for _, s := range d.order {
		if s.mute {
			text := s.want.Name + " has not been looked at yet"
			if more := d.mute - 1; more > 0 {
				text += ", nor " + plural(more, "other", "others")
			}
			d.waits(GateUnknown, text, "goes on once every tenant of "+d.subject()+" has been looked at", time.Time{})
			return
		}
	}
}
