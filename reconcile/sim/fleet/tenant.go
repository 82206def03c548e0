package fleet

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// tenant is one tenant: permits in, reports out. In the place of slots and
// drivers it has durations. What it is outlives a crash of ours, but the permit.
type tenant struct {
	name   string
	place  int           // in the plan
	want   *plans.Tenant // nil: the plan does not name it
	target plans.Target
	pace   pace

	serves   plans.Target // what answers its requests
	reached  plans.Target // last reached whole
	release  string       // of reached
	kept     version      // what served before, for the way back
	try      *try
	withheld map[plans.Target]string // reason
	noWay    string                  // why it did not go back when it was told to
	half     plans.Target            // where it stands after a target that failed when a part of it did not get back; zero: nowhere
	oneWay   bool                    // what it ran before can be had no more
	ill      time.Time               // since when what serves is no good; zero: it is good
	well     time.Time               // when that ends by itself; zero: it does not
	broken   bool                    // it was seen to be at rest and no good, when it was seen last

	blind  time.Time // until then nobody sees it
	permit reconcile.Permit
	report reconcile.Report
	due    time.Time
	moved  bool // to be asked
	lifted bool // a person said that it may try again, and it has not told yet
}

// version is something a tenant can run.
type version struct {
	target  plans.Target
	release string
}

// try is one way to a target.
type try struct {
	version
	from   version
	row    row
	until  time.Time
	fate   Fate
	shows  bool // in its bake that it is no good
	since  time.Time
	stuck  bool   // it is a way back that will fail
	reason string // of going back; "" withholds nothing
	why    string
}

// row is where a try is.
type row int

const (
	starting row = iota // until it is well beside the old one, or in its place
	baking              // it serves and is watched
	undoing             // back to what served before
)

// pace is how long the parts of a tenant's way take.
type pace struct {
	within   time.Duration // from the start until one that is not well has failed
	serving  time.Duration // bake and drain
	bake     time.Duration
	soak     time.Duration
	notice   time.Duration // from being ill to being seen to be
	undo     time.Duration
	recreate bool // the old one stops first
}

// sees says whether the tenant can be seen.
func (t *tenant) sees(now time.Time) bool { return !now.Before(t.blind) }

// step brings the tenant as far as it comes now, and says what it reports.
func (t *tenant) step(w *world) reconcile.Report {
	if t.sees(w.now) {
		t.obey(w)
		t.goOn(w)
		t.begin(w)
		t.broken = t.try == nil && t.sick(w.now)
	}
	w.sees.Stood(w.now, t.name, t.stands(w.now))
	t.wakeUp(w)
	return t.tell(w)
}

// obey does what a permit says beyond leave to go.
func (t *tenant) obey(w *world) {
	p := &t.permit
	if !p.Back {
		t.noWay = ""
	}
	if t.want == nil || p.Target != t.target {
		return
	}
	reason := t.withheld[t.target]
	switch {
	case p.Retry && reason != "" && t.try == nil:
		delete(t.withheld, t.target)
		if p.Back {
			t.noWay = t.goBack(w, p.From)
		}
	case p.Back && (reason == "" || reason != reconcile.RolledBack && !t.half.Zero()):
		t.noWay = t.goBack(w, p.From)
	case p.Withhold != "" && !p.Back && reason == "":
		t.withhold(w, t.target, p.Withhold)
	}
}

// goBack takes the way back to what the tenant served before, and says why there
// is none.
func (t *tenant) goBack(w *world, from string) string {
	switch {
	case t.try != nil && t.try.target == t.target && t.try.row != undoing:
		t.turn(w, reconcile.RolledBack, "it was taken back")
	case t.try != nil:
	case t.serves.Zero():
		return "nothing is there that could be taken back now"
	case t.oneWay:
		return "what it ran before is not on record"
	case !t.half.Zero():
		t.withhold(w, t.target, reconcile.RolledBack)
		t.try = &try{version: version{t.target, t.want.Release}, from: version{t.reached, t.release}, row: undoing, since: w.now,
			until: w.now.Add(t.pace.undo), reason: reconcile.RolledBack, why: "it was taken back", stuck: w.stuck != nil && w.stuck(t)}
	case t.kept.target.Zero() || t.kept.target.Core != from:
		return "no version is kept for the way back"
	default:
		t.withhold(w, t.target, reconcile.RolledBack)
		t.try = &try{version: version{t.target, t.want.Release}, from: t.kept, row: undoing, since: w.now,
			until: w.now.Add(t.pace.undo), reason: reconcile.RolledBack, why: "it was taken back", stuck: w.stuck != nil && w.stuck(t)}
	}
	return ""
}

func (t *tenant) withhold(w *world, target plans.Target, reason string) {
	if t.withheld == nil {
		t.withheld = map[plans.Target]string{}
	}
	t.withheld[target] = reason
	w.sees.GaveUp(w.now, t.name, target)
}

// turn turns a try back.
func (t *tenant) turn(w *world, reason, why string) {
	t.try.row, t.try.until, t.try.reason, t.try.why = undoing, w.now.Add(t.pace.undo), reason, why
}

// goOn takes a try on by what is over.
func (t *tenant) goOn(w *world) {
	for a := t.try; a != nil && t.try == a; {
		if a.row == starting && (t.want == nil || a.target != t.target) {
			t.turn(w, "", "the plan wants something else since")
		}
		if a.row == starting && w.now.Before(w.outage) {
			a.until = w.outage.Add(a.fate.Ready)
		}
		if w.now.Before(a.until) {
			return
		}
		switch a.row {
		case starting:
			t.switchOver(w)
		case baking:
			t.finish(w)
		case undoing:
			t.restored(w)
		}
	}
}

// switchOver leads the requests to the new version, if it is any good.
func (t *tenant) switchOver(w *world) {
	a := t.try
	if a.fate.Fault == AtGate {
		t.turn(w, reconcile.Failed, "it does not answer well")
		return
	}
	t.serves, a.row, a.until = a.target, baking, w.now.Add(t.pace.serving)
	if a.fate.Fault == Serving {
		t.ill, t.well = w.now.Add(a.fate.Shows), time.Time{}
		if seen := t.ill.Add(t.pace.notice); !seen.After(w.now.Add(t.pace.bake)) {
			a.until, a.shows = seen, true
		}
	}
}

// finish ends a bake: well, or back.
func (t *tenant) finish(w *world) {
	a := t.try
	if a.shows || t.sick(w.now) {
		t.turn(w, reconcile.Failed, "it answers 5xx")
		return
	}
	if a.from.target != a.target { // else it was only made whole
		t.kept = a.from
	}
	t.try, t.reached, t.release, t.half = nil, a.target, a.release, target{}
	t.oneWay = w.halves != nil && w.halves(t)
	w.sees.Ended(w.now, t.name, t.reached)
}

// restored ends a way back.
func (t *tenant) restored(w *world) {
	a := t.try
	if a.stuck { // what served before serves again
		t.try = nil
		w.sees.Ended(w.now, t.name, t.stays())
		return
	}
	t.half, t.oneWay = target{}, false
	if a.reason == reconcile.Failed && a.fate.Fault == AtGate && !a.from.target.Zero() && w.halves != nil && w.halves(t) {
		t.half = target{Core: a.from.target.Core, Aside: "half of " + a.target.Core + a.target.Aside}
	}
	if t.serves == a.target || a.fate.Fault == AtGate && t.pace.recreate {
		w.wasIll(t, a)
		t.ill, t.well = time.Time{}, time.Time{}
	}
	t.try, t.serves, t.reached, t.release, t.kept = nil, a.from.target, a.from.target, a.from.release, version{}
	if a.reason != "" && t.withheld[a.target] == "" {
		t.withhold(w, a.target, a.reason)
	}
	w.sees.Ended(w.now, t.name, t.stays())
}

// stays is what the tenant runs at rest.
func (t *tenant) stays() target {
	if !t.half.Zero() {
		return t.half
	}
	return t.reached
}

// whole says that the tenant is at its target, and no part of it elsewhere.
func (t *tenant) whole() bool { return t.reached == t.target && t.half.Zero() }

// begin begins to move, if it may.
func (t *tenant) begin(w *world) {
	p := &t.permit
	if t.want == nil || t.try != nil || t.want.Hold != nil || !p.Go || p.Back || p.Target != t.target || t.whole() || t.withheld[t.target] != "" {
		return
	}
	fate := w.fate(t)
	t.try = &try{version: version{t.target, t.want.Release}, from: version{t.reached, t.release}, since: w.now, fate: fate}
	t.try.until = w.now.Add(fate.Ready)
	if fate.Fault == AtGate {
		t.try.until = w.now.Add(max(fate.Ready, t.pace.within))
	}
	t.noWay = ""
	w.sees.Began(w.now, t.name, t.target)
	t.goOn(w)
}

// sick says that what serves is seen to be no good.
func (t *tenant) sick(now time.Time) bool {
	return !t.ill.IsZero() && !now.Before(t.ill.Add(t.pace.notice)) && (t.well.IsZero() || now.Before(t.well))
}

// wakeUp notes when something is due.
func (t *tenant) wakeUp(w *world) {
	var next time.Time
	at := func(when time.Time) {
		if when.After(w.now) && (next.IsZero() || when.Before(next)) {
			next = when
		}
	}
	at(t.blind)
	if t.try != nil {
		at(t.try.until)
	}
	if !t.ill.IsZero() {
		at(t.ill.Add(t.pace.notice))
		at(t.well)
	}
	if !next.IsZero() {
		w.wake(t, next)
	}
}

// tell is what the tenant says of itself.
func (t *tenant) tell(w *world) reconcile.Report {
	r := reconcile.Report{Tenant: t.name, Target: t.target, Reached: t.reached, Release: t.release, Generation: t.serves.Core,
		Op: reconcile.Replace, InMotion: t.try != nil, NoWayBack: t.noWay, State: reconcile.Converged}
	if t.want == nil {
		r.State = reconcile.StateRemoving
		return r
	}
	if a := t.try; a != nil {
		r.ToTarget = a.target == t.target && (a.row != undoing || a.reason != "")
	}
	reason := t.withheld[t.target]
	r.Done = t.try == nil && t.whole()
	r.Failed = reason != "" || t.try != nil && t.try.row == undoing && t.try.reason != "" && t.try.target == t.target
	r.Restored = r.Failed && t.try == nil && t.half.Zero() && t.reached != t.target
	if t.try == nil && t.whole() || !t.half.Zero() {
		switch {
		case t.oneWay:
			r.OneWay = "what it ran before is not on record"
		case t.half.Zero() && t.kept.target.Zero():
			r.OneWay = "no version is kept for the way back"
		}
	}
	if t.try == nil && t.broken { // what was known when sight was lost stays known
		r.Unwell = "it answers 5xx"
	}
	switch {
	case !t.sees(w.now):
		r.State, r.Why = reconcile.Unknown, "it cannot be seen"
	case t.try != nil && t.try.row == starting && w.now.Before(w.outage):
		r.State, r.Why = reconcile.Unknown, "the registry does not answer"
	case t.try != nil:
		r.State, r.Why = reconcile.Progressing, t.try.why
	case t.want.Hold != nil:
		r.State, r.Why = reconcile.Held, t.want.Hold.Reason
	case reason != "" && !r.Done:
		r.State, r.Reason, r.Why = reconcile.HeldBack, reason, "it was given up"
	case t.sick(w.now):
		r.State, r.Why = reconcile.Degraded, "it answers 5xx"
	case !r.Done:
		r.State, r.Why = reconcile.Waiting, t.permit.Why
	}
	return r
}

// same says that a report tells nothing new to a rollout.
func same(a, b *reconcile.Report) bool {
	return a.State == b.State && a.Reason == b.Reason && a.Target == b.Target && a.Done == b.Done && a.Failed == b.Failed &&
		a.InMotion == b.InMotion && a.ToTarget == b.ToTarget && a.Restored == b.Restored && a.Reached == b.Reached && a.Generation == b.Generation && a.NoWayBack == b.NoWayBack && a.OneWay == b.OneWay && a.Unwell == b.Unwell
}
