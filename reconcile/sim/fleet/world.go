package fleet

import (
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// target is short for what a tenant should be.
type target = plans.Target

// epoch is when every run begins.
var epoch = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday

// world is a fleet, what is wanted of it, what is written down, and the machine.
type world struct {
	now      time.Time
	commit   string
	policies map[string]plans.BatchPolicy
	order    []*tenant // that the plan names, in its order
	byName   map[string]*tenant
	make     Maker
	machine  Machine
	answers  map[string]string
	stored   map[string]*ledger // the journal
	attempts map[string]int     // of it: how often each change was begun
	queue    queue
	touched  []*tenant
	outage   time.Time // until then no image comes
	sees     eyes
	books    *Books
	fate     func(*tenant) Fate
	stuck    func(*tenant) bool // its way back fails; nil: none does
	halves   func(*tenant) bool // a part of a way stays, or of what was before goes; nil: none does
	turns    int
	wrote    time.Time // the clock, when the journal was last written
	// heeds says how many of those that have something to say are heard before the
	// next decision.
	heeds func(speakers int) int
	// dies says whether we die at a boundary of the journal.
	dies func(where string) bool
	// lost takes in that we died.
	lost  func()
	lags  func(*tenant) // a permit comes to it
	trace *trace
}

// ledger is a rollout and its members, as written down.
type ledger struct {
	reconcile.Rollout
	members map[string]*reconcile.RolloutMember
}

func newWorld(make Maker) *world {
	return &world{now: epoch, wrote: epoch, policies: map[string]plans.BatchPolicy{}, byName: map[string]*tenant{}, make: make, machine: make(),
		answers: map[string]string{}, stored: map[string]*ledger{}, attempts: map[string]int{}, sees: blink{},
		heeds: func(n int) int { return n }, dies: func(string) bool { return false }, lost: func() {}}
}

// add adds a tenant at the end of the plan.
func (w *world) add(want *plans.Tenant, tgt target, p pace) *tenant {
	t := &tenant{name: want.Name, place: len(w.order), want: want, target: tgt, pace: p}
	w.order = append(w.order, t)
	w.byName[t.name] = t
	return t
}

func (w *world) touch(t *tenant) {
	if !t.moved {
		t.moved = true
		w.touched = append(w.touched, t)
	}
}

// plan is what is wanted.
func (w *world) plan() reconcile.RolloutPlan {
	p := reconcile.RolloutPlan{Commit: w.commit, Policies: w.policies, Tenants: make([]reconcile.RolloutTenant, len(w.order))}
	for i, t := range w.order {
		p.Tenants[i] = reconcile.RolloutTenant{Want: t.want, Target: t.target}
	}
	return p
}

// replan hands the plan out. Every tenant looks at it.
func (w *world) replan() {
	p := w.plan()
	w.machine.Plan(p)
	if w.books != nil {
		w.books.Planned(p)
	}
	for i, t := range w.order {
		t.place = i
		w.touch(t)
	}
}

// rounds bounds how long a fleet may be busy at one moment, by its size.
func (w *world) rounds() int { return 200 + 20*len(w.byName) }

// settle lets tenants and the machine talk until they have nothing new to say.
// It returns false if they find no end.
func (w *world) settle() bool {
	for range w.rounds() {
		w.rouse()
		if w.dies("before the journal") { // all of a turn is lost, or nothing
			w.lost()
		}
		w.speak()
		if !w.machine.Due(w.now) {
			if len(w.touched) == 0 {
				return true
			}
			continue
		}
		w.decide()
	}
	return false
}

// speak lets those speak who were touched: all of them, or as many as are heeded.
func (w *world) speak() {
	slices.SortFunc(w.touched, func(a, b *tenant) int { return a.place - b.place })
	// What a person said of one on the host is decided by nobody who has not heard it.
	slices.SortStableFunc(w.touched, func(a, b *tenant) int {
		switch {
		case a.lifted == b.lifted:
			return 0
		case a.lifted:
			return -1
		}
		return 1
	})
	n := w.heeds(len(w.touched))
	for n < len(w.touched) && w.touched[n].lifted {
		n++
	}
	todo := w.touched[:n]
	w.touched = slices.Clone(w.touched[n:])
	for _, t := range todo {
		t.moved, t.lifted = false, false
		r := t.step(w)
		if same(&r, &t.report) {
			continue
		}
		t.report = r
		w.trace.told(w, &r)
		if w.books != nil {
			w.books.Heard(w.now, &r)
		}
		w.machine.Hear(&r)
	}
}

// decide has the machine decide, writes it down and hands it out; we may die
// after the journal.
func (w *world) decide() {
	w.turns++
	d := w.machine.Decide(w.now, w.answers)
	w.trace.decided(w, &d)
	w.write(&d)
	if w.books != nil {
		w.books.Decided(w.now, &d, w.answers)
	}
	if w.dies("after the journal") {
		w.lost()
		return
	}
	for i := range d.Permits {
		if t := w.byName[d.Permits[i].Tenant]; t != nil {
			t.permit = d.Permits[i].Permit
			if w.lags != nil {
				w.lags(t)
			}
			w.touch(t)
		}
	}
}

// write writes a decision down.
func (w *world) write(d *reconcile.RolloutDelta) {
	w.wrote = w.now
	maps.Copy(w.attempts, d.Attempts)
	for _, r := range d.Dropped {
		delete(w.stored, r.ID)
	}
	for _, r := range d.Rollouts {
		l := w.stored[r.ID]
		if l == nil {
			l = &ledger{members: map[string]*reconcile.RolloutMember{}}
			w.stored[r.ID] = l
		}
		l.Rollout = r
	}
	for _, m := range d.Members {
		if l := w.stored[m.Rollout]; l != nil {
			kept := m.RolloutMember
			l.members[m.Tenant] = &kept
		}
	}
}

// reborn is a machine made from what is written down, wanted and said.
func (w *world) reborn() Machine {
	m := w.make()
	for _, l := range plans.Sorted(w.stored) {
		members := make([]reconcile.RolloutMember, 0, len(l.members))
		for _, v := range plans.Sorted(l.members) {
			members = append(members, *v)
		}
		m.Restore(l.Rollout, members)
	}
	for base, n := range w.attempts {
		m.Attempted(base, n)
	}
	m.Plan(w.plan())
	for _, t := range w.order {
		if t.report.State != "" {
			heard := t.report
			m.Hear(&heard)
		}
	}
	return m
}

// questions are those that are open, oldest rollout first.
func (w *world) questions() []*reconcile.Question {
	var open []*ledger
	for _, l := range plans.Sorted(w.stored) {
		if l.Question() != nil {
			open = append(open, l)
		}
	}
	slices.SortFunc(open, func(a, b *ledger) int { return a.Number - b.Number })
	var out []*reconcile.Question
	for _, l := range open {
		out = append(out, l.Question())
	}
	return out
}

// ahead is when something is due next; zero: nothing is.
func (w *world) ahead() time.Time {
	a, b := w.next(), w.machine.Next()
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// wasIll takes in that a tenant's users are served well again.
func (w *world) wasIll(t *tenant, a *try) {
	from := t.ill
	if from.IsZero() {
		from = a.since
	}
	if from.Before(w.now) {
		w.sees.Broken(t.name, from, w.now)
	}
}
