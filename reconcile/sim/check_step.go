package sim

import (
	"reflect"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// touches says whether an action changes anything on the host.
func touches(v reconcile.Verb) bool {
	return v != reconcile.Check && v != reconcile.Confirm && v != reconcile.Forget
}

// checkPure: the same input and memory give the same decision, the memory that
// was handed in is not touched, and what comes out survives the journal.
func (b *books) checkPure(in reconcile.Input, before reconcile.Record, d reconcile.Decision, rec reconcile.Record) {
	if b.w.turns%40 != 0 {
		return
	}
	kept := roundTrip(before)
	again, memory := b.w.step(in, before)
	if !reflect.DeepEqual(again, d) || !reflect.DeepEqual(memory, rec) {
		b.fail("pure", "the same step twice decides otherwise")
	}
	if !reflect.DeepEqual(roundTrip(before), kept) {
		b.fail("pure", "the step writes into the memory it was handed")
	}
	b.w.step(in, rec)
	if !reflect.DeepEqual(roundTrip(rec), roundTrip(memory)) {
		b.fail("pure", "the next step writes into the memory of this one")
	}
}

// checkQuiet holds S9: a second pass at the same time does nothing, and nothing
// happens before the time it asked for.
func (b *books) checkQuiet(in reconcile.Input, d reconcile.Decision, rec reconcile.Record) {
	if len(d.Actions) > 0 || b.w.turns%4 != 1 {
		return
	}
	again := in
	again.Results, again.Retry, again.Local, again.Data = nil, false, "", nil
	second, rec2 := b.w.step(again, rec)
	if len(second.Actions) > 0 {
		b.fail("S9", "a second step at the same time orders %s", second.Actions[0].ID)
		return
	}
	if d.Wake.IsZero() || d.Wake.Sub(in.Now) < 2 {
		return
	}
	again.Now = in.Now.Add(d.Wake.Sub(in.Now) / 2)
	if early, _ := b.w.step(again, rec2); len(early.Actions) > 0 {
		b.fail("S9", "%s is ordered before the time it asked to be woken", early.Actions[0].ID)
	}
}

// checkHeld holds S5: nobody touches a held tenant, from its safe state on.
func (b *books) checkHeld(in reconcile.Input, d reconcile.Decision) {
	f := in.Facts
	if in.Want == nil || in.Want.Hold == nil || f.Runtime.Blind() || f.Router.Blind() || f.Storage.Blind() {
		return
	}
	safe := f.Route.Entry.Hold == nil && f.Route.Entry.Slot == b.routed && b.routed != plans.NoSlot
	if !b.w.shape.Routes {
		blue, green := b.serves(in, plans.Blue), b.serves(in, plans.Green)
		safe = blue && f.Instance(plans.Green, "app") == nil || green && f.Instance(plans.Blue, "app") == nil
		for _, i := range f.Instances {
			safe = safe && (i.Service != "worker" || i.Phase == observed.Running) // it may have been stopped for a move
		}
	}
	// A service upgraded alone is put back in its place first, and policies
	// follow the switch.
	for name := range plans.Sorted(in.Want.Aside) {
		i := f.Instance(plans.Shared, name)
		if in.Want.Aside[name].Sidecar {
			i = f.Instance(b.routed, name)
		}
		safe = safe && i != nil && i.Phase == observed.Running
	}
	// A move that finds all of it down is finished first, one way or the other; once
	// in force a hold stays, whatever goes down.
	if app := f.Instance(b.routed, "app"); b.w.report.State != reconcile.Held && b.w.shape.Routes {
		safe = safe && app != nil && app.Phase == observed.Running
		if worker := f.Instance(b.routed, "worker"); worker != nil {
			safe = safe && worker.Phase == observed.Running // it may have been stopped for the move
		}
	}
	for _, i := range f.Instances {
		safe = safe && (i.Job || i.Routed == (i.Slot == plans.Shared || i.Slot == b.routed) || !b.w.shape.Routes)
	}
	if !safe {
		return
	}
	for _, a := range d.Actions {
		if touches(a.Verb) && a.Verb != reconcile.SetRouted {
			b.fail("S5", "%s %s on a held tenant", a.Verb, a.ID)
		}
	}
	b.reached["held"]++
}

// checkBlind: not seen is neither healthy nor failed. Nothing is begun and
// nobody is blamed by a look that saw nothing; what is under way may be undone.
func (b *books) checkBlind(in reconcile.Input, before reconcile.Record, d reconcile.Decision) {
	if !in.Facts.Runtime.Blind() {
		b.wasBlind = false
		return
	}
	again := b.wasBlind
	b.wasBlind = true
	for _, a := range d.Actions {
		if (a.Verb == reconcile.Stop || a.Verb == reconcile.Remove || a.Verb == reconcile.Destroy) && in.Facts.Route.Entry.Hold == nil {
			b.fail("unknown", "%s ordered by a look that saw no instances", a.ID)
		}
	}
	// Where requests wait, or waited until somebody removed the route, nothing can
	// be waited for.
	held := in.Facts.Route.Entry.Hold != nil || before.Attempt != nil && before.Attempt.Hold != nil
	if d.Report.Failed && !b.wasFail && again && d.Report.Target == b.told && !held && len(in.Results) == 0 && in.Local == "" && len(in.Answers) == 0 {
		b.fail("unknown", "a target failed while nobody could see: %s", d.Report.Why)
	}
}

// checkOutage: what the host lacks, a registry, a disk with room, is nobody's
// release: a target is not given up for it.
func (b *books) checkOutage(in reconcile.Input, d reconcile.Decision) {
	for _, r := range in.Results {
		if r.Problem == nil || r.Problem.Class != observed.Environment {
			continue
		}
		b.reached["outage "+string(r.Verb)]++
		if strings.Contains(r.ID, "/repair/") && !strings.Contains(d.Report.FailedBy, r.Problem.Text) {
			continue // of what serves; the new version may have failed of itself meanwhile
		}
		if d.Report.Failed && !b.wasFail && d.Report.Target == b.told && in.Local == "" && len(in.Answers) == 0 {
			b.fail("unknown", "a target is given up for an outage (%s): %s", r.Problem, d.Report.Why)
		}
	}
}

// checkWithheld holds S4: a target that was given up is not started again
// without a word.
func (b *books) checkWithheld(in reconcile.Input, d reconcile.Decision) {
	t := b.w.target
	if !b.failed[t] || len(in.Answers) > 0 {
		return
	}
	for _, a := range d.Actions {
		begins := a.Verb == reconcile.Start || a.Verb == reconcile.Pull || a.Verb == reconcile.Create || a.Verb == reconcile.Clone
		forth := a.Step == reconcile.Preflight || a.Step == reconcile.Prepare || a.Step == reconcile.Launch
		if begins && forth && a.Generation != "" && a.Generation == t.Core && b.generation(in.Facts) != t.Core {
			b.fail("S4", "%s begins again what failed", a.ID)
		}
	}
}

// generation is that of the routed slot, or of the one that is said to serve where
// there are no routes.
func (b *books) generation(f *observed.Tenant) string {
	slot := f.Route.Entry.Slot
	if !b.w.shape.Routes {
		slot = b.w.report.Active
	}
	if app := f.Instance(slot, "app"); app != nil {
		return app.Generation
	}
	return ""
}

// moved takes in that the world moved. It holds S7: a job runs at most once in
// an attempt.
func (b *books) moved() {
	for _, i := range b.w.truth().Instances {
		if !i.Job {
			continue
		}
		run := i.Key.String() + " " + i.Attempt
		switch id := b.jobs[run]; {
		case id == "" || b.byHand[i.Key]:
			b.jobs[run] = i.ID
		case id != i.ID && b.w.opt.Late == 0: // a late effect can come after the attempt is undone
			b.fail("S7", "job %s ran twice in attempt %s", i.Key, i.Attempt)
		}
	}
}
