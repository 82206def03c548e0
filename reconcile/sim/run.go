package sim

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// Outcome is what one run came to.
type Outcome struct {
	Seed    uint64
	Options Options
	Shape   Shape
	Broken  *Violation // nil: clean
	Turns   int
	Reached map[string]int // what the run came to see
	Lines   []string       // the last events, in a run that was traced
}

// Run makes the run of a seed with the step.
func Run(seed uint64, step Step) Outcome { return run(seed, step, nil) }

// Traced makes it again and keeps the events.
func Traced(seed uint64, step Step) Outcome { return run(seed, step, &trace{}) }

func run(seed uint64, step Step, tr *trace) Outcome {
	rng := rand.New(rand.NewPCG(seed, 0x5eed))
	opt := drawOptions(rng)
	if rng.IntN(8) == 0 {
		opt = opt.calm()
	}
	w := newWorld(rng, opt, drawShape(rng), step, tr)
	w.run()
	out := Outcome{Seed: seed, Options: opt, Shape: w.shape, Broken: w.books.broken, Turns: w.turns, Reached: w.books.reached}
	if tr != nil {
		out.Lines = tr.lines
	}
	return out
}

// String is what a person needs who has to find out why.
func (o Outcome) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "seed %d: %v\n", o.Seed, o.Broken)
	fmt.Fprintf(&s, "repeat it: go test ./reconcile/sim -run TestSeed -seed %d\n", o.Seed)
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
		return time.Duration(1+w.rng.IntN(50)) * time.Millisecond
	case !d.Wake.IsZero():
		wait = max(time.Second/10, min(wait, d.Wake.Sub(w.clock())))
	}
	if w.rng.IntN(3) == 0 {
		wait = w.within(wait) + time.Millisecond
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
	w.calm = true
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
