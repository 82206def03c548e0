package agentworld

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
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
)

// weather is what may happen in one run. Rates of faults are per call.
type weather struct {
	lostRequest, lostReply, late float64
	crash                        float64 // per commit of the journal
	kill, reboot, die, blind     float64 // per step
	bad, hold, stale             float64
}

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
	return weather{lostRequest: rate(0.02, 0.1), lostReply: rate(0.02, 0.1), late: rate(0.02, 0.05), crash: rate(0.01, 0.05),
		kill: rate(0.1, 0.4), reboot: rate(0.05, 0.1), die: rate(0.1, 0.3), blind: rate(0.1, 0.3), bad: rate(0.2, 0.6), hold: rate(0.1), stale: rate(0.2)}
}

// world is a host and the agent on it that can die and come again.
type world struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	o     weather
	host  *mem.Host
	store *store
	check *checks

	plan    *plans.Plan
	version int // of images ever named
	history []int
	bad     map[string]bool
	old     []string // questions that were answered

	mu   sync.Mutex // guards what goroutines of the agent ask for
	calm bool

	agent  *agent.Agent
	cancel context.CancelFunc
	ended  chan struct{}
	log    []string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0xa6e47)), bad: map[string]bool{}}
	w.o = drawWeather(w.rng)
	w.host = mem.New(mem.Config{Now: time.Now, Registry: w.registry})
	w.check = newChecks(w)
	w.store = &store{Memory: journal.NewMemory(), w: w}
	w.plan = w.firstPlan()
	w.check.planned(w.plan)
	w.start()
	return w
}

// registry says how the instances of an image behave.
func (w *world) registry(ref string) mem.Image {
	name, _, _ := strings.Cut(ref[strings.LastIndex(ref, "/")+1:], "@")
	as := mem.Image{HealthyAfter: 2 * time.Second}
	switch kind, _, _ := strings.Cut(name, "-"); kind {
	case "sick":
		as.Sick = true
	case "late":
		as.SickAfter = 9 * time.Second
	case "crash":
		as.Exits, as.Exit, as.Code = true, 500*time.Millisecond, 1
	}
	return as
}

func image(kind string, version int) string {
	name := fmt.Sprintf("%s-%d", kind, version)
	h := fnv.New64a()
	h.Write([]byte(name))
	return "registry.example.com/" + name + "@sha256:" + strings.Repeat(fmt.Sprintf("%016x", h.Sum64()), 4)
}

// firstPlan is one to five tenants of one template and one policy.
func (w *world) firstPlan() *plans.Plan {
	r := w.rng
	policy := plans.BatchPolicy{Name: "standard", BatchSize: 1 + r.IntN(2), MaxConsecutiveFailures: 1 + r.IntN(2),
		Parallelism: r.IntN(3), Bake: plans.Duration(r.IntN(2)) * 20 * plans.Second, HealthWithin: 60 * plans.Second}
	if r.IntN(2) == 0 {
		policy.Canary = &plans.Canary{Count: 1, Bake: plans.Duration(r.IntN(2)) * 30 * plans.Second}
	}
	if r.IntN(4) == 0 {
		policy.OnTrip = plans.Rollback
	}
	p := &plans.Plan{Fleet: "f", Commit: "c0", Policies: map[string]plans.BatchPolicy{"standard": policy}}
	recreate := r.IntN(4) == 0
	n := 1 + r.IntN(5)
	if *tenants > 0 {
		n = *tenants
	}
	for i := range n {
		t := plans.Tenant{Name: fmt.Sprintf("t%02d", i), Template: "platform", Policy: "standard", Strategy: plans.BlueGreen,
			Routes: map[string]*plans.Route{"web": {Hosts: []string{fmt.Sprintf("t%02d.example.com", i)}, Service: "app"}},
			Bake:   10 * plans.Second, Drain: 5 * plans.Second, Soak: plans.Soak{For: 300 * plans.Second}}
		if recreate {
			t.Strategy = plans.Recreate
		}
		p.Tenants = append(p.Tenants, t)
	}
	w.says(p, 0)
	return p
}

// says puts a version into a plan: every tenant gets its image, some a bad one.
func (w *world) says(p *plans.Plan, version int) {
	for i := range p.Tenants {
		t := &p.Tenants[i]
		kind := "good"
		if w.bad[fmt.Sprint(t.Name, "@", version)] {
			kind = []string{"sick", "late", "crash"}[version%3]
		}
		t.Release = fmt.Sprint("r", version)
		t.Core = plans.Core{Services: map[string]plans.Service{"app": {
			Image: image(kind, version), Ports: map[string]int{"http": 8080},
			Health: &plans.Health{HTTP: &plans.HTTPProbe{Path: "/health"}, Interval: plans.Second, Successes: successes, Failures: 3, Within: 20 * plans.Second},
		}}}
	}
}

// successes is how many good answers in a row prove an instance.
const successes = 2

// start makes a new agent on the host and on what the journal holds, and runs it.
func (w *world) start() {
	f := fault.Faults{Decide: w.decide, Later: func(effect func()) { time.AfterFunc(w.luckOf("late", 15), effect) }}
	c := agent.Config{
		Owner:    drivers.Owner{Fleet: "f", Node: "n", Controller: "me"},
		Runtimes: map[string]drivers.Runtime{"mem": &runtime{fault.Runtime(w.host.Runtime(), f), w.check}},
		Storages: map[string]drivers.Storage{"mem": fault.Storage(w.host.Storage(), f)},
		Router:   &router{fault.Router(w.host.Router(), f), w.check}, Prober: &prober{w.host.Prober(), w.check}, Host: w.host,
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
		w.t.Fatalf("seed %d: %v", w.seed, err)
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
	w.cancel()
	<-w.ended
	w.note("killed, away for %s", away)
	began := time.Now()
	time.Sleep(away)
	w.reopen()
	w.check.unseen(began)
	w.start()
}

func (w *world) reopen() { w.store = &store{Memory: w.store.Reopen(), w: w} }

// decide is what happens to one call of a driver. It goes by the seed and by when
// there is such a call, whichever goroutine makes it.
func (w *world) decide(op fault.Op, ref string) fault.Fault {
	w.takes(op, ref)
	if w.isCalm() || op.Look() {
		return fault.None
	}
	switch x := w.luck(string(op) + ref); {
	case x < w.o.lostRequest:
		return fault.LostRequest
	case x < w.o.lostRequest+w.o.lostReply:
		return fault.LostReply
	case x < w.o.lostRequest+w.o.lostReply+w.o.late:
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
	fmt.Fprint(h, w.seed, what, time.Now().UnixNano())
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
	w.log = append(w.log, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (w *world) chance(rate float64) bool { return rate > 0 && w.rng.Float64() < rate }

func (w *world) within(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// commit hands the agent a plan while it sleeps, so that the books and it change
// their minds at one moment.
func (w *world) commit(change func(*plans.Plan)) {
	p := *w.plan
	p.Tenants = append([]plans.Tenant(nil), w.plan.Tenants...)
	p.Decisions = append([]plans.Decision(nil), w.plan.Decisions...)
	change(&p)
	p.Commit = fmt.Sprintf("c%d", w.rng.Uint32())
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
