package agentworld

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/fault"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
	"github.com/gitops-fleet/reconcile/reconcile/sim/fleet"
	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

// world is a host and the agent on it that can die and come again.
type world struct {
	t       *testing.T
	c       Case
	dice    *shrink.Dice
	o       weather
	lanes   []*lane
	host    *mem.Host
	store   *store
	check   *checks
	mistake func(hands) hands // a deliberate mistake; nil: none

	plan    *plans.Plan
	version int // of images ever named
	number  int // of tenants ever named
	bad     map[string]bool
	slow    map[string]bool
	old     []string // questions that were answered

	mu     sync.Mutex // guards what goroutines of the agent ask for
	calm   bool
	ahead  time.Duration // the date of the host is, of time that passes
	behind time.Duration // our clock is, of the date of the host
	writes map[string]uint64

	steps  int              // of the first phase that were made
	broken *fleet.Violation // at the end; nil: clean

	agent  *agent.Agent
	cancel context.CancelFunc
	ended  chan struct{}
	log    []string
}

// hands are the drivers as the agent gets them.
type hands struct {
	w       *world
	runtime drivers.Runtime
	router  drivers.Router
	storage drivers.Storage
	prober  drivers.Prober
}

func newWorld(t *testing.T, c Case, mistake func(hands) hands) *world {
	w := &world{t: t, c: c, dice: shrink.NewDice(c.Seed, c.Without), mistake: mistake, bad: map[string]bool{}, slow: map[string]bool{}, writes: map[string]uint64{}}
	w.o = drawWeather(w.dice.Of("weather"))
	if w.o != (weather{}) {
		shrink.Without(&w.o, c.Without)
	}
	w.host = mem.New(mem.Config{Now: w.date, Registry: w.registry})
	w.check = newChecks(w)
	w.store = &store{Memory: journal.NewMemory(), w: w, full: &atomic.Bool{}}
	w.plan = w.firstPlan(c)
	w.check.planned(w.plan)
	w.start()
	return w
}

// start makes a new agent on the host and on what the journal holds, and runs it.
func (w *world) start() {
	f := fault.Faults{Decide: w.decide, Later: func(effect func()) { time.AfterFunc(w.luckOf("late", 15), effect) }}
	h := hands{w, &runtime{fault.Runtime(w.host.Runtime(), f), w.check}, &router{fault.Router(w.host.Router(), f), w.check},
		&storage{fault.Storage(w.host.Storage(), f), w.check}, &prober{w.host.Prober(), w.check}}
	if w.mistake != nil {
		h = w.mistake(h)
	}
	c := agent.Config{
		Owner:    drivers.Owner{Fleet: "f", Node: "n", Controller: "me"},
		Runtimes: map[string]drivers.Runtime{"mem": h.runtime}, Storages: map[string]drivers.Storage{"mem": h.storage},
		Router: h.router, Prober: h.prober, Host: w.host, Clock: clock{agent.System{}, w},
		Store: w.store, Random: func() float64 { return 0.5 },
		// Time goes on when nobody can do anything at this moment any more: a turn
		// has seen all that came to be known until then, whichever goroutine was first.
		Settle: func() { time.Sleep(time.Nanosecond) },
	}
	a, err := agent.New(c)
	if err != nil {
		if errors.Is(err, journal.ErrClosed) {
			w.reopen()
			w.start()
			return
		}
		w.t.Fatalf("%s: %v", w.c, err)
	}
	w.agent = a
	a.SetPlan(w.plan)
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	ended := make(chan struct{})
	w.ended = ended
	go func() {
		defer close(ended)
		_ = a.Run(ctx) // it says why it ended, which is that it was killed
	}()
}

// kill ends the agent wherever it is, and starts it again on what was written.
func (w *world) kill(away time.Duration) {
	synctest.Wait() // else it depends on who runs first how far it came
	w.cancel()
	<-w.ended
	w.note("killed, away for %s", away)
	began := w.date()
	time.Sleep(away)
	w.reopen()
	w.check.unseen(began, away)
	w.start()
}

func (w *world) reopen() { w.store = &store{Memory: w.store.Reopen(), w: w, full: w.store.full} }

// decide is what happens to one call of a driver. It goes by the seed and by when
// there is such a call, whichever goroutine makes it.
func (w *world) decide(op fault.Op, ref string) fault.Fault {
	w.takes(op, ref)
	if w.isCalm() || op.Look() {
		return fault.None
	}
	switch x := w.luck(string(op) + ref); {
	case x < w.o.LostRequest:
		return fault.LostRequest
	case x < w.o.LostRequest+w.o.LostReply:
		return fault.LostReply
	case x < w.o.LostRequest+w.o.LostReply+w.o.Late:
		return fault.Late
	}
	return fault.None
}

// takes lets a call take its time, another for each: two that begin at one moment
// take effect one after the other, in an order that is the seed's.
func (w *world) takes(op fault.Op, ref string) {
	time.Sleep(time.Nanosecond + time.Duration(w.luck("takes "+string(op)+ref)*float64(time.Millisecond)))
}

func (w *world) isCalm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calm
}

// luck is a number from 0 to 1 for what is done now. It goes by the moment: whoever
// does the same at the same one, in whatever order, is as lucky.
func (w *world) luck(what string) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, w.c.Seed, what, time.Now().UnixNano())
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

func (w *world) luckOf(what string, seconds float64) time.Duration {
	return time.Duration(w.luck(what) * seconds * float64(time.Second))
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, time.Now().Add(w.ahead).Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// date is the host's date and time.
func (w *world) date() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// clock is ours: that of the host, set back at times.
type clock struct {
	agent.System
	w *world
}

func (c clock) Now() time.Time {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return time.Now().Add(c.w.ahead - c.w.behind)
}

// chance says whether what is named happens; each name has a luck of its own.
func (w *world) chance(name string, rate float64) bool {
	return w.dice.Of(name).Float64() < rate
}

// within is a time up to d, by the luck of a name.
func (w *world) within(name string, d time.Duration) time.Duration {
	return time.Duration(w.dice.Of(name).Int64N(int64(d)))
}

// commit hands the agent a plan while it sleeps, so that the books and it change
// their minds at one moment.
func (w *world) commit(change func(*plans.Plan)) {
	p := *w.plan
	p.Tenants = append([]plans.Tenant(nil), w.plan.Tenants...)
	p.Decisions = append([]plans.Decision(nil), w.plan.Decisions...)
	p.Policies = maps.Clone(w.plan.Policies)
	change(&p)
	p.Commit = fmt.Sprintf("c%d", w.dice.Of("commit").Uint32())
	w.plan = &p
	synctest.Wait()
	w.check.planned(&p)
	w.agent.SetPlan(&p)
}

// questions are those the rollouts and the tenants ask.
func (w *world) questions() []*reconcile.Question {
	var out []*reconcile.Question
	s := w.agent.Status()
	for i := range s.Rollouts {
		if q := s.Rollouts[i].Question(); q != nil {
			out = append(out, q)
		}
	}
	for i := range s.Tenants {
		if q := s.Tenants[i].Question; q != nil {
			out = append(out, q)
		}
	}
	return out
}
