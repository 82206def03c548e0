package sim

import (
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

// Outcome is what one run came to.
type Outcome struct {
	Case
	Options Options
	Shape   Shape
	Broken  *Violation // nil: clean
	Turns   int
	Reached map[string]int // what the run came to see
	Lines   []string       // the last events, in a run that was traced
	// Happened is all of the weather that came, in a run that was traced, in the
	// words a Case leaves it out by.
	Happened []string
}

// Run makes the run of a case with the step.
func Run(c Case, step Step) Outcome { return run(c, step, nil) }

// Traced makes it again and keeps the events.
func Traced(c Case, step Step) Outcome { return run(c, step, &trace{}) }

func run(c Case, step Step, tr *trace) Outcome {
	dice := shrink.NewDice(c.Seed, c.happenings())
	if tr != nil {
		dice.Tell()
	}
	opt, shape := drawOptions(dice.Of("options")), drawShape(dice.Of("shape"))
	if dice.Of("calm").IntN(8) == 0 {
		opt = opt.calm()
	}
	shape.Several = dice.Of("several").IntN(2) == 0 && (shape.Sidecar || shape.Shared)
	if dice.Of("data").IntN(8) == 0 && shape.Volume != "" && shape.Volume != plans.Share {
		opt, shape.Named = opt.keepsData(), false
	}
	if c.Turns > 0 {
		opt.Turns = c.Turns
	}
	shrink.Without(&opt, c.Without)
	shrink.Without(&shape, c.Without)
	w := newWorld(dice, opt, shape, step, tr)
	w.run()
	out := Outcome{Case: c, Options: opt, Shape: w.shape, Broken: w.books.broken, Turns: w.turns, Reached: w.books.reached, Happened: dice.Happened()}
	if tr != nil {
		out.Lines = tr.lines
	}
	return out
}

// String is what a person needs who has to find out why.
func (o Outcome) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %v\n", o.Case, o.Broken)
	fmt.Fprintf(&s, "repeat it: go test ./reconcile/sim -run TestSeed$ -args %s\n", o.Case)
	fmt.Fprintf(&s, "shape:   %+v\nweather: %s\n", o.Shape, o.Options)
	for _, l := range o.Lines {
		s.WriteString(l + "\n")
	}
	return s.String()
}

// run is both phases: the weather, and the calm after it. A panic of the step
// is a rule broken: a step is total.
func (w *world) run() {
	defer func() {
		if p := recover(); p != nil {
			w.books.fail("total", "panic: %v\n%s", p, debug.Stack())
		}
	}()
	for w.turns < w.opt.Turns && w.books.broken == nil {
		w.weather()
		w.cycle(w.pace)
	}
	w.rest()
}

// cycle is one turn of ours, if we are up, and the time until the next.
func (w *world) cycle(pace func(d reconcile.Decision, whole bool) time.Duration) reconcile.Decision {
	if !w.up {
		if w.now.Before(w.backAt) {
			w.turns++
			w.advance(min(w.backAt.Sub(w.now), 30*time.Second))
			return reconcile.Decision{}
		}
		w.revive()
	}
	d, whole := w.turn()
	if w.books.broken == nil {
		w.advance(pace(d, whole))
	}
	return d
}

// slowLook is how often we look though nothing calls for it.
const slowLook = time.Minute

// pace is how long we wait after a turn: as asked, or less for news.
func (w *world) pace(d reconcile.Decision, whole bool) time.Duration {
	wait := slowLook
	switch {
	case len(d.Actions) > 0 || !whole:
		return time.Duration(1+w.dice.Of("pace").IntN(50)) * time.Millisecond
	case !d.Wake.IsZero():
		wait = max(time.Second/10, min(wait, d.Wake.Sub(w.clock())))
	}
	if r := w.dice.Of("pace"); r.IntN(3) == 0 {
		wait = time.Duration(r.Int64N(int64(wait)+1)) + time.Millisecond
	}
	return wait
}

// The bounds of L1: turns and time within which a tenant comes to rest once
// nothing fails any more. The longest a plan of ours may take is an attempt
// that fails by each of its limits in turn, twice, and a soak.
const (
	restTurns = 1500
	restTime  = 8 * time.Hour
)

// rest is the calm: no faults, people say what is asked of them, and the
// tenant must come to rest.
func (w *world) rest() {
	if w.books.broken != nil {
		return
	}
	w.soothe()
	w.settle()
}

// settle waits for the tenant to come to rest, and holds it against L1.
func (w *world) settle() {
	began, quiet := w.now, 0
	var d reconcile.Decision
	for n := 0; w.books.broken == nil; n++ {
		if n > restTurns || w.now.Sub(began) > restTime {
			w.books.fail("L1", "no rest after %d turns and %s: %s %s %s: %s", n, w.now.Sub(began),
				d.Report.State, d.Report.Reason, d.Report.Phase, d.Report.Why)
			return
		}
		w.answer()
		d = w.cycle(w.calmPace)
		moves := d.Report.InMotion && d.Report.State != reconcile.Held
		soon := !d.Wake.IsZero() && d.Wake.Sub(w.clock()) < restTime/4
		if d.Report.Tenant == "" || len(d.Actions) > 0 || moves || soon {
			quiet = 0
			continue
		}
		if quiet++; quiet > 2 {
			w.books.ended(d)
			return
		}
	}
}

// soothe ends everything that fails, and has people say what they owe.
func (w *world) soothe() {
	w.trace.add(w, "calm", "")
	w.calm, w.rng = true, w.dice.Of("calm")
	w.clearSight()
	for _, i := range w.truth().Instances {
		w.host.SetHealth(i.Key, nil)
	}
	word := w.word
	switch w.rng.IntN(4) {
	case 0:
		word.Job, word.Side, word.DB = "good-1", "good-1", "good-1"
		if !w.shape.Named { // a slot that serves is not changed in place
			word.App = w.image("good")
		}
		word.Gone, word.Removed, word.Hold = false, false, false
		if word.Idle != "" {
			word.Idle = w.image("good")
		}
	case 1:
		word.Hold = false
		w.retry = true
	case 2:
		word.Hold = false
	}
	w.say(word)
	if w.word == word {
		w.permit.Open = false
	}
}

func (w *world) calmPace(d reconcile.Decision, whole bool) time.Duration {
	wait := slowLook
	switch {
	case len(d.Actions) > 0 || !whole:
		return 20 * time.Millisecond
	case !d.Wake.IsZero():
		wait = max(time.Second/10, min(restTime/16, d.Wake.Sub(w.clock())))
	}
	return wait
}

// portOf is the port of an address of ours.
func portOf(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
