package sim

import (
	"fmt"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// books are the checkers' own records. They are written from what was seen,
// decided and done, by the rules of the design, and never from the memory of
// the step. The first rule broken ends the run.
type books struct {
	w      *world
	broken *Violation

	// Probes: answers in a row that were well, of each instance since its start.
	runs map[life]answers
	saw  map[life]time.Time // when we first saw the app of what serves, by our clock
	sick map[plans.Key]bool // by a person's or fate's hand

	// Routes: where requests were led by a decision that was right, where
	// before that, and since when.
	routed, before plans.Slot
	since          time.Time
	back           bool // what was switched to had passed a bake before

	baked    map[string]bool       // generations that passed a bake
	history  []string              // images of the app that were reached whole
	versions map[string]version    // generations that were reached whole
	failed   map[plans.Target]bool // that were given up, and not released since
	want     plans.Target          // of the last step
	wasBlind bool                  // the runtime, at the last step
	wasFail  bool                  // the last report said failed
	told     plans.Target          // it was about

	jobs    map[string]string // service, slot and attempt → engine id of the one run
	byHand  map[plans.Key]bool
	givenUp map[string]time.Time   // datasets ordered or seen to be discarded, and since when
	latest  time.Time              // of our clock
	binds   map[plans.Key][]string // host paths an instance was started with
	acked   map[uint64]plans.Slot  // writes answered well, and who did
	past    map[uint64]bool        // writes answered well past the router
	word    bool                   // a person said to go back
	data    bool                   // a person sent the data back since a target was reached
	backTo  string                 // the attempt whose snapshots a person last sent the data back to
	gone    bool                   // nothing was left of the tenant, once
	stayed  bool                   // a person said that what does not go back shall stay
	asItIs  bool                   // a person said to lead the requests back to what is not well
	carry   bool                   // a person said to go back with the data as they are now
	carries bool                   // that way back was begun since the switch
	doomed  bool                   // a tombstone was said since the switch
	wholes  map[plans.Target]whole // what the plan said a tenant shall be
	lossOK  bool                   // a person or the plan accepted that writes are left behind
	acts    map[reconcile.Verb]int
	phases  map[reconcile.Phase]int
	reached map[string]int // what the run came to see, for the sum over all

	cut, at int // the boundary to die at in a drill, and the one we are at
}

// life is one run of one instance.
type life struct {
	id      string
	started time.Time
}

// version is what the services of a generation were.
type version map[string]observed.Instance

// Violation is a rule broken.
type Violation struct {
	Rule string // "S1" and so on, as the design names them
	Text string
}

func (v *Violation) Error() string { return v.Rule + ": " + v.Text }

func newBooks(w *world) *books {
	return &books{
		w: w, runs: map[life]answers{}, saw: map[life]time.Time{}, sick: map[plans.Key]bool{}, versions: map[string]version{},
		failed: map[plans.Target]bool{}, jobs: map[string]string{}, byHand: map[plans.Key]bool{},
		baked: map[string]bool{}, binds: map[plans.Key][]string{}, givenUp: map[string]time.Time{}, acked: map[uint64]plans.Slot{}, past: map[uint64]bool{},
		acts: map[reconcile.Verb]int{}, phases: map[reconcile.Phase]int{}, reached: map[string]int{}, wholes: map[plans.Target]whole{}, cut: -1,
	}
}

// fail notes the first rule broken.
func (b *books) fail(rule, format string, args ...any) {
	if b.broken == nil {
		b.broken = &Violation{rule, fmt.Sprintf(format, args...)}
		b.w.trace.add(b.w, "BROKEN", "%s: %s", rule, b.broken.Text)
		b.w.trace.record(b.w)
	}
}

// boundary says whether a drill dies here.
func (b *books) boundary(string) bool {
	b.at++
	return b.at-1 == b.cut
}

// answers is a run of probe answers, and whether it proved the instance: by as
// many good ones in a row as it needs, and until as many bad ones.
type answers struct {
	good, bad int
	proved    bool
}

// answered takes in a probe's answer.
func (b *books) answered(id string, started time.Time, ok bool) {
	l := life{id, started}
	a := b.runs[l]
	if ok {
		a.good, a.bad = a.good+1, 0
	} else {
		a.good, a.bad = 0, a.bad+1
	}
	a.proved = a.good >= successes || a.proved && a.bad < failures
	b.runs[l] = a
}

func (b *books) ill(key plans.Key, is bool)  { b.sick[key] = is }
func (b *books) removedByHand(key plans.Key) { b.byHand[key] = true }
func (b *books) answeredQuestion(word string) {
	clear(b.failed)
	b.lossOK, b.stayed = true, b.stayed || word == plans.Stay
	b.asItIs, b.carry = b.asItIs || word == "proceed", b.carry || word == plans.Carry
}

func (b *books) proved(i *observed.Instance) bool { return b.runs[life{i.ID, i.Started}].proved }

// forgot takes in that nothing is left of the tenant.
func (b *books) forgot() {
	b.gone, b.routed, b.before = true, plans.NoSlot, plans.NoSlot
	clear(b.acked)
	clear(b.past)
}

// acting takes in an action that is about to be tried.
func (b *books) acting(a reconcile.Action) {
	b.acts[a.Verb]++
	if a.Step == reconcile.Removing && a.Verb == reconcile.Remove {
		b.byHand[a.Key] = true // a removal that is taken back: by a person's word
	}
	if a.Verb == reconcile.SetRole && a.Role == observed.Discarded && b.givenUp[a.Dataset].IsZero() {
		b.givenUp[a.Dataset] = b.latest // we may die before we see it
	}
	if a.Verb == reconcile.Start {
		var paths []string
		for _, bind := range a.Instance.Volumes {
			paths = append(paths, bind.Host)
		}
		b.binds[a.Instance.Key] = paths
	}
}

// served takes in the end of a request.
func (b *books) served(r *request, status int, slot plans.Slot) {
	if r.write && status == 200 {
		b.acked[r.id] = slot
	}
	if (status == 502 || status == 500) && !b.w.opt.faulty() {
		b.reached["errors"]++
	}
}

// wrotePast takes in a write that was answered past the router. What served has to
// have it from then on; what had not proved itself yet keeps it aside when it fails.
func (b *books) wrotePast(write uint64, slot plans.Slot) {
	b.past[write] = true
	if slot == b.w.report.Active {
		b.acked[write] = slot
	}
}

// decided holds a decision against the rules, by the facts it was made on.
func (b *books) decided(in reconcile.Input, before reconcile.Record, d reconcile.Decision, rec reconcile.Record) {
	if b.w.target != b.want {
		clear(b.failed) // the target changed
	}
	b.want = b.w.target
	if in.Retry || in.Local != "" {
		clear(b.failed)
		b.lossOK = b.lossOK || in.Local != ""
	}
	if in.Data != nil {
		b.lossOK = b.lossOK || in.Data.Granted // else its answer says so
		b.word = b.word || in.Local != ""
		b.data = true
		if in.Data.Granted {
			clear(b.failed) // they are served by the version that wrote them, if the plan names it
		}
	}
	b.phases[d.Report.Phase]++
	if app := in.Facts.Instance(b.routed, "app"); app != nil && b.w.now.Sub(b.since) >= bake.Std() {
		b.baked[app.Generation] = true
	}
	b.carries = b.carries || d.Report.Phase == reconcile.Preflight && d.Report.Op == reconcile.Backward && (b.carry || b.w.shape.OnBack == plans.Carry)
	b.doomed = b.doomed || in.Want != nil && in.Want.Removed
	b.noteGivenUp(in)
	b.said(in.Want)
	b.checkPure(in, before, d, rec)
	b.checkQuiet(in, d, rec)
	b.checkHeld(in, d)
	b.checkBlind(in, before, d)
	b.checkOutage(in, d)
	b.checkCare(in, before, d)
	b.checkWithheld(in, d)
	b.checkRestore(in, d)
	if f := in.Facts; len(d.Actions) == 0 && d.Report.State == reconcile.HeldBack && !f.Runtime.Blind() && !f.Router.Blind() {
		b.checkRestored(d.Report, f, false)
	}
	// The actions are carried out in order, so each is held against what those
	// before it will have made of the facts.
	route := in.Facts.Route
	for _, a := range d.Actions {
		switch a.Verb {
		case reconcile.Route:
			b.checkRoute(in, route, a)
			if a.Entry.Slot != b.routed && a.Entry.Slot != plans.NoSlot {
				b.before, b.routed = b.routed, a.Entry.Slot
				b.asItIs, b.carry, b.carries, b.doomed = false, false, false, false
				if route.Entry.Slot != b.routed { // else it was led there already, and this is an edit
					b.since = b.w.now
				}
				app := in.Facts.Instance(b.routed, "app")
				b.back = app != nil && b.baked[app.Generation]
			}
			route.Entry, route.Held = *a.Entry, a.Entry.Hold != nil && route.Held
		case reconcile.Unroute:
			b.checkUnroute(in, route, a, d.Report.Reason == reconcile.Failed)
			route = observed.Route{}
		case reconcile.Stop, reconcile.Remove:
			b.checkStop(in, route, a)
			b.checkBake(in, a)
			b.checkDrain(in, route, a)
		case reconcile.Destroy:
			b.checkDestroy(in, route, a)
			b.checkRetention(in, rec, a)
			b.checkOnlyCopy(in, a)
		}
	}
}

// note remembers what the report says, once it is written down.
func (b *books) note(d reconcile.Decision) {
	r := d.Report
	if r.Failed && r.Target == b.w.target && !r.Target.Zero() {
		if !b.failed[r.Target] {
			b.reached["failed"]++
		}
		b.failed[r.Target] = true
	}
	b.wasFail, b.told = r.Failed, r.Target
	if r.Generation == "" {
		clear(b.acked) // a first version was undone; what it wrote is kept aside
	}
	if r.Done && r.State == reconcile.Converged && r.Generation != "" {
		if _, known := b.versions[r.Generation]; !known {
			b.reached["done"]++
		}
		b.checkBack(r)
		b.data = false
	}
	if r.Question != nil {
		b.reached["question"]++
	}
}
