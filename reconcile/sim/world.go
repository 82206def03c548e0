package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/fault"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

// Step is the signature of what is tried.
type Step func(reconcile.Input, reconcile.Record) (reconcile.Decision, reconcile.Record)

// world is a host, the plan, and a small agent of ours: it looks, steps,
// journals, and carries out actions one after the other.
type world struct {
	dice  *shrink.Dice
	rng   *rand.Rand // luck of what happens now
	opt   Options
	shape Shape
	step  Step
	books *books
	trace *trace

	host *mem.Host
	now  time.Time     // of the host
	skew time.Duration // of our clock from it
	calm bool          // no faults any more
	hands
	late  []lateEffect
	blind map[mem.Part]time.Time // until when
	full  time.Time              // until when the disk is; zero: it is not

	word    Word
	want    *plans.Tenant
	target  plans.Target
	permit  reconcile.Permit
	answers map[string]string
	retry   bool
	local   reconcile.Local
	data    *reconcile.DataWord
	number  int // of images ever named
	cores   map[string]plans.Core
	svcs    map[string]plans.Service
	inCore  map[string][]string // service digests of a generation
	inPlan  map[string]bool     // digests of services the plan has beside its core

	// The journal: what outlives us.
	rec      reconcile.Record
	stored   map[string]bool // digests of specs kept
	ports    map[portKey]int
	lastPort int
	report   reconcile.Report

	// The memory of the process: lost in a crash.
	up      bool
	backAt  time.Time // when we come up again
	facts   observed.Tenant
	probes  map[string]*probed
	results []reconcile.Result

	open     []*request
	writes   uint64
	turns    int
	insisted int // answers given in the calm
}

// hands are the host's drivers, with faults.
type hands struct {
	runtime drivers.Runtime
	router  drivers.Router
	storage drivers.Storage
	prober  drivers.Prober
}

// lateEffect is a call that was given up and happens all the same.
type lateEffect struct {
	at  time.Time
	run func()
}

type portKey struct {
	key  plans.Key
	name string
}

// epoch is when every run begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// maxGap is by how much a turn may come late and its time still count as seen.
const maxGap = 2 * time.Minute

func newWorld(dice *shrink.Dice, opt Options, shape Shape, step Step, tr *trace) *world {
	w := &world{
		dice: dice, rng: dice.Of("calm"), opt: opt, shape: shape, step: step, trace: tr, now: epoch, up: true,
		blind: map[mem.Part]time.Time{}, answers: map[string]string{},
		cores: map[string]plans.Core{}, svcs: map[string]plans.Service{},
		inCore: map[string][]string{}, inPlan: map[string]bool{},
		stored: map[string]bool{}, ports: map[portKey]int{}, probes: map[string]*probed{},
	}
	traits := mem.AllTraits
	traits.Restarts = shape.Engine
	w.host = mem.New(mem.Config{Now: func() time.Time { return w.now }, Traits: traits, Registry: registry})
	f := fault.Faults{Decide: w.decide, Later: w.later}
	w.hands = hands{
		runtime: fault.Runtime(w.host.Runtime(), f), router: fault.Router(w.host.Router(), f),
		storage: fault.Storage(w.host.Storage(), f), prober: fault.Prober(w.host.Prober(), f),
	}
	w.books = newBooks(w)
	w.say(Word{App: w.image("good"), Job: "good-1", Side: "good-1", DB: "good-1", Active: plans.Blue, Hosts: 1})
	return w
}

// image names a new image of a kind.
func (w *world) image(kind string) string {
	w.number++
	return fmt.Sprintf("%s-%d", kind, w.number)
}

// say has the plan say word.
func (w *world) say(word Word) {
	if !w.shape.Named {
		word.Active, word.Idle = plans.NoSlot, ""
	}
	w.word, w.want, w.target = word, w.shape.tenant(word), plans.Target{}
	if w.want != nil {
		w.target = w.want.Target()
		w.learn(w.want)
	}
	w.permit = reconcile.Permit{Go: w.want != nil, Target: w.target}
	w.trace.add(w, "plan", "%+v", word)
}

// learn notes what digests name.
func (w *world) learn(t *plans.Tenant) {
	clear(w.inPlan)
	for _, c := range []*plans.Core{&t.Core, t.Idle} {
		if c == nil {
			continue
		}
		g := c.Generation()
		if _, known := w.cores[g]; known {
			continue
		}
		w.cores[g] = *c
		for name := range plans.Sorted(c.Services) {
			d := c.Services[name].Digest()
			w.svcs[d] = c.Services[name]
			w.inCore[g] = append(w.inCore[g], d)
		}
	}
	for name := range plans.Sorted(t.Aside) {
		d := t.Aside[name].Digest()
		w.svcs[d], w.inPlan[d] = t.Aside[name], true
	}
}

// clock is our clock.
func (w *world) clock() time.Time { return w.now.Add(w.skew) }

// env is what a step may ask: only the plan in force and what is stored.
func (w *world) env() *reconcile.Env {
	named := func(digest string) bool {
		return w.stored[digest] || digest == w.target.Core || digest == w.target.Idle
	}
	return &reconcile.Env{
		Fleet: "fleet", Node: "node", Commit: fmt.Sprintf("c%d", w.number),
		Port: w.port,
		Core: func(generation string) (plans.Core, bool) {
			c, ok := w.cores[generation]
			return c, ok && named(generation)
		},
		Service:     func(digest string) (plans.Service, bool) { return w.service(digest) },
		PointInTime: func(string) bool { return true },
		CheapClone:  func(string) bool { return true },
	}
}

// service finds a service in the plan in force, by itself or in a stored core.
func (w *world) service(digest string) (plans.Service, bool) {
	s, ok := w.svcs[digest]
	if !ok || w.stored[digest] || w.inPlan[digest] {
		return s, ok
	}
	for g := range w.stored {
		if slices.Contains(w.inCore[g], digest) {
			return s, true
		}
	}
	return plans.Service{}, false
}

// port is the ledger of host ports.
func (w *world) port(k plans.Key, name string) int {
	at := portKey{k, name}
	if w.ports[at] == 0 {
		w.lastPort++
		w.ports[at] = 20000 + w.lastPort
	}
	return w.ports[at]
}

// crash ends our process; it comes up again by and by.
func (w *world) crash(where string) {
	w.trace.add(w, "crash", "%s", where)
	w.up = false
	w.backAt = w.now.Add(time.Duration(w.rng.Int64N(int64(w.opt.Away) + 1)))
	w.facts, w.probes, w.results = observed.Tenant{}, map[string]*probed{}, nil
	w.rec = roundTrip(w.rec)
}

// revive starts our process again. The time it was away uses up no deadline.
func (w *world) revive() {
	w.up = true
	w.skip()
	w.trace.add(w, "up", "")
}

// skip has our memory take the time since the last step for not seen, as after
// a restart or a sleep of the machine.
func (w *world) skip() {
	if now := w.clock(); now.After(w.rec.Clock) && !w.rec.Clock.IsZero() {
		w.rec.Clock = now
	}
	w.probes = map[string]*probed{}
}

// roundTrip is what a record is after the journal.
func roundTrip(rec reconcile.Record) reconcile.Record {
	b, err := json.Marshal(rec)
	if err != nil {
		panic("a record cannot be written: " + err.Error())
	}
	var out reconcile.Record
	if err := json.Unmarshal(b, &out); err != nil {
		panic("a record cannot be read: " + err.Error())
	}
	return out
}

// commit writes a decision down: the record, and the specs its report names.
func (w *world) commit(d reconcile.Decision, rec reconcile.Record) {
	w.rec, w.report = rec, d.Report
	kept := map[string]bool{}
	for _, digest := range d.Report.Specs {
		_, core := w.cores[digest]
		if _, ok := w.service(digest); ok || core && (w.stored[digest] || digest == w.target.Core || digest == w.target.Idle) {
			kept[digest] = true
		}
	}
	w.stored = kept
}

// forget drops what we know of the tenant.
func (w *world) forget() {
	w.rec, w.report = reconcile.Record{}, reconcile.Report{}
	clear(w.stored)
	clear(w.ports)
	w.facts.Preflight = nil
	w.books.forgot()
}

// advance lets time pass, with all that is due in it. The prober asks as often
// as it would, but of a long time only what its last answers were.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	const rounds = 4
	for {
		next := w.now.Add(interval.Std())
		if far := end.Add(-rounds * interval.Std()); far.After(next) {
			next = far
		}
		if next.After(end) {
			next = end
		}
		effect := -1
		for n, l := range w.late {
			if !l.at.After(next) && (effect < 0 || l.at.Before(w.late[effect].at)) {
				effect = n
			}
		}
		if effect >= 0 {
			l := w.late[effect]
			w.late = slices.Delete(w.late, effect, effect+1)
			w.now = maxTime(w.now, l.at)
			l.run()
			w.trace.add(w, "late", "")
			w.books.moved()
			continue
		}
		w.now = next
		w.clearSight()
		w.answerOpen()
		if w.up {
			w.probe()
		}
		if !w.now.Before(end) {
			break
		}
	}
	w.host.Tick()
	w.books.moved()
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// room is the space of a disk that is not full.
const room = 1 << 40

// clearSight ends blindness, and the want of room, that are over.
func (w *world) clearSight() {
	for _, p := range slices.Sorted(maps.Keys(w.blind)) {
		if !w.now.Before(w.blind[p]) || w.calm {
			delete(w.blind, p)
			w.host.Down(p, false)
		}
	}
	if !w.full.IsZero() && (!w.now.Before(w.full) || w.calm) {
		w.full = time.Time{}
		w.host.SetFree(room)
	}
}

// truth is the tenant as it is, whoever may see it.
func (w *world) truth() observed.Tenant { return w.host.Truth(Name) }
