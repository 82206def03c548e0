package agentworld

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
	"github.com/gitops-fleet/reconcile/reconcile/sim/fleet"
)

// checks are the rules as they can be seen from outside.
type checks struct {
	w       *world
	mu      sync.Mutex // guards all below: the agent acts from many goroutines
	books   *fleet.Books
	broken  *fleet.Violation
	runs    map[life]answers
	before  map[string]plans.Slot
	tenants map[string]*plans.Tenant
	begun   map[string]bool // attempts seen, and failures
	held    map[string]bool // attempts that are written down, and whether their tenant was held before
	moving  map[string]bool
	taken   map[string]string // answers in git, by question
	reached map[string]int
	data    map[string]*data             // of tenants
	jobs    map[string]string            // engine id of a job in an attempt
	made    map[string]map[string]string // what the services of a generation were
}

// life is one run of one instance.
type life struct {
	id      string
	started time.Time
}

// answers is a run of probe answers, and whether it proved the instance: by as many
// good ones in a row as it needs, and until as many bad ones.
type answers struct {
	good, bad int
	proved    bool
}

func newChecks(w *world) *checks {
	return &checks{w: w, books: fleet.NewBooks(), runs: map[life]answers{}, before: map[string]plans.Slot{}, tenants: map[string]*plans.Tenant{},
		begun: map[string]bool{}, held: map[string]bool{}, moving: map[string]bool{}, taken: map[string]string{}, reached: map[string]int{},
		data: map[string]*data{}, jobs: map[string]string{}, made: map[string]map[string]string{}}
}

func (c *checks) fail(rule, format string, args ...any) {
	if c.broken == nil {
		c.broken = &fleet.Violation{Rule: rule, Text: c.w.date().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)}
	}
}

// first is the first rule that was broken, nil while none is.
func (c *checks) first() *fleet.Violation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		return c.books.First()
	}
	return c.broken
}

// planned takes in what git says.
func (c *checks) planned(p *plans.Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	spec := reconcile.RolloutPlan{Commit: p.Commit, Policies: p.Policies}
	clear(c.tenants)
	for i := range p.Tenants {
		t := &p.Tenants[i]
		c.tenants[t.Name] = t
		if c.data[t.Name] == nil {
			c.data[t.Name] = &data{acked: map[uint64]bool{}, binds: map[plans.Slot][]string{}}
		}
		if t.Removed {
			continue
		}
		spec.Tenants = append(spec.Tenants, reconcile.RolloutTenant{Want: t, Target: t.Target()})
	}
	for _, d := range p.Decisions {
		c.taken[d.Question] = d.Answer
		if tenant, _, _ := strings.Cut(d.Question, "."); c.data[tenant] != nil {
			c.data[tenant].word = true // a person was asked, and said what shall become of it
		}
	}
	c.books.Planned(spec)
}

// unseen takes in that the agent was away.
func (c *checks) unseen(since time.Time, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.books.Skipped(since, d)
}

// answered takes in the answer to a probe.
func (c *checks) answered(key plans.Key, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	truth := c.w.host.Truth(key.Tenant)
	i := truth.Instance(key.Slot, key.Service)
	if i == nil {
		return
	}
	l := life{i.ID, i.Started}
	a := c.runs[l]
	if ok {
		a.good, a.bad = a.good+1, 0
	} else {
		a.good, a.bad = 0, a.bad+1
	}
	a.proved = a.good >= successes || a.proved && a.bad < failures
	c.runs[l] = a
}

// well says whether the app of a slot runs and has proved itself.
func (c *checks) well(t *observed.Tenant, slot plans.Slot) bool {
	i := t.Instance(slot, "app")
	return i != nil && i.Phase == observed.Running && c.runs[life{i.ID, i.Started}].proved
}

// routes holds S1: requests are led to what has proved itself, or back to where
// they were while what they are led to now does not serve.
func (c *checks) routes(e plans.Entry, rev uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.w.host.Truth(e.Tenant)
	now := t.Route.Entry.Slot
	switch {
	case e.Slot == plans.NoSlot:
		c.fail("S2", "the routes of %s lead nowhere", e.Tenant)
	case e.Slot == now || rev != t.Route.Revision: // no switch, or one the router refuses
	case c.well(&t, e.Slot):
		c.switched(e, &t)
		c.before[e.Tenant] = now
		c.reached["switched"]++
	case e.Slot == c.before[e.Tenant] && (!c.well(&t, now) || c.data[e.Tenant].word): // nothing that serves is left, or a person said so
		c.leaveBehind(e.Tenant, e.Slot, &t)
		c.data[e.Tenant].to = e.Slot
	case now == plans.NoSlot && c.before[e.Tenant] != "": // somebody lost the routes
	default:
		i := t.Instance(e.Slot, "app")
		c.fail("S1", "%s is switched from %q to %s, whose app is %+v", e.Tenant, now, e.Slot, i)
	}
}

// unroutes holds S2: routes go with a first version that failed only.
func (c *checks) unroutes(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.w.host.Truth(tenant)
	if c.before[tenant] != plans.NoSlot && c.well(&t, t.Route.Entry.Slot) && !c.leaves(tenant) {
		c.fail("S2", "the routes of %s are taken away", tenant)
	}
	delete(c.before, tenant) // the next version is a first one again
}

// leaves says whether a tenant is removed, or named no more.
func (c *checks) leaves(tenant string) bool {
	t := c.tenants[tenant]
	return t == nil || t.Removed
}

// stops holds S2: what is routed and well is not stopped, but within a hold.
func (c *checks) stops(what string, key plans.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.w.host.Truth(key.Tenant)
	if c.leaves(key.Tenant) {
		return
	}
	c.stopsWayBack(what, key, &t)
	if key.Service == "app" && key.Slot == t.Route.Entry.Slot && c.well(&t, key.Slot) && !t.Route.Held {
		c.fail("S2", "%s of %s, which is routed and healthy", what, key)
	}
}

// starts takes in that a tenant begins to move: an instance of the plan's
// generation is ordered by an attempt not seen before. It holds S3 to S5.
func (c *checks) starts(i plans.Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := c.tenants[i.Key.Tenant]
	t := c.w.host.Truth(i.Key.Tenant)
	app := t.Instance(t.Route.Entry.Slot, "app")
	attempt := i.Key.Tenant + " " + i.Attempt
	if want == nil || c.begun[attempt] || i.Generation != want.Target().Core || app != nil && app.Generation == i.Generation {
		return
	}
	c.begun[attempt] = true
	if held, known := c.held[attempt]; known && !held && want.Hold != nil {
		c.reached["held in motion"]++ // it moved before the word: the next safe state is waited for
		return
	}
	kept := t.Instance(i.Key.Slot, i.Key.Service)
	carried := (c.data[i.Key.Tenant].word || want.Volumes["data"].OnBack == plans.Carry) && c.made[i.Key.Tenant+" "+i.Generation] != nil // on the data of now
	if kept != nil && kept.Generation == i.Generation || carried {
		c.reached["back"]++ // the way back needs no rollout
		return
	}
	c.moving[i.Key.Tenant] = true
	c.reached["begun"]++
	c.books.Began(c.w.date(), i.Key.Tenant, want.Target())
}

// written takes in what was written down.
func (c *checks) written(tx journal.Tx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.w.date()
	d, records := delta(tx)
	for name, rec := range plans.Sorted(records) {
		c.record(now, name, rec)
	}
	for _, e := range tx.Events {
		if q := e.Fields["question"]; e.Kind == agentDecision && q != "" {
			if e.Tenant != "" {
				c.books.Lifted(e.Tenant) // it asked for itself
				continue
			}
			d.Taken = append(d.Taken, q)
		}
	}
	if len(d.Rollouts)+len(d.Members)+len(d.Dropped) > 0 {
		c.books.Decided(now, &d, c.taken)
	}
	for _, e := range tx.Events {
		c.reached[e.Kind]++
	}
}

// standsAt is the target whose parts all run. One that is back whole is there as
// soon as the last part is, whatever the record still calls it until its next step.
func standsAt(rec *reconcile.Record) plans.Target {
	p, cur := rec.Past, rec.Current
	if p == nil || cur == nil || rec.Attempt != nil || rec.Target.Core != p.Target.Core ||
		!slices.ContainsFunc(rec.Withheld, func(w reconcile.Withheld) bool { return w.Target == p.To }) ||
		cur.Slot != p.Slot || cur.Generation != p.Generation || !maps.Equal(cur.Sidecars, p.Sidecars) || !maps.Equal(rec.Shared, p.Shared) {
		return rec.Target
	}
	return p.Target
}

// agentDecision is the event that tells that an answer was taken.
const agentDecision = "decision.applied"

// record takes in what is kept of a tenant, as what it says of itself.
func (c *checks) record(now time.Time, name string, rec reconcile.Record) {
	want := c.tenants[name]
	if want == nil {
		return
	}
	if a := rec.Attempt; a != nil {
		if _, known := c.held[name+" "+a.ID]; !known {
			c.held[name+" "+a.ID] = want.Hold != nil
		}
	}
	r := reconcile.Report{Tenant: name, State: rec.State, Reason: rec.Reason, Target: want.Target(), Reached: standsAt(&rec), Release: rec.Release, InMotion: rec.Attempt != nil}
	if rec.Current != nil {
		r.Generation = rec.Current.Generation
		r.Done = rec.Attempt == nil && rec.Target == r.Target
	}
	for _, held := range rec.Withheld {
		if at := name + " " + held.Since.String() + held.Target.Core; !c.begun[at] {
			c.begun[at] = true
			c.books.GaveUp(now, name, held.Target)
		}
		r.Failed = r.Failed || held.Target == r.Target
	}
	r.Failed = r.Failed || rec.Attempt != nil && (rec.Attempt.Back || rec.Attempt.Failing) && rec.Attempt.Target == r.Target
	if rec.Current == nil {
		clear(c.data[name].acked) // a first version was undone; what it wrote is kept aside
	}
	if rec.Attempt == nil {
		c.moving[name] = false
		c.books.Ended(now, name, standsAt(&rec))
	} else {
		c.books.Stands(name, standsAt(&rec)) // one may end and the next begin in one turn
	}
	c.books.Heard(now, &r)
}
