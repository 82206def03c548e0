package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Mutant is a step with one deliberate mistake, and the rule that has to catch
// it. The checkers are only worth what they catch.
type Mutant struct {
	Name   string
	Rule   string
	Break  func(Step) Step
	Within int // seeds it must be caught in
}

// want returns the step with the plan's word altered.
func want(alter func(*plans.Tenant)) func(Step) Step {
	return func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			if in.Want != nil {
				t := *in.Want
				alter(&t)
				in.Want = &t
			}
			return step(in, rec)
		}
	}
}

// facts returns the step with the facts altered; instances may be written to.
func facts(alter func(reconcile.Input, *observed.Tenant)) func(Step) Step {
	return func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			f := *in.Facts
			f.Instances = slices.Clone(f.Instances)
			f.Datasets = slices.Clone(f.Datasets)
			alter(in, &f)
			in.Facts = &f
			return step(in, rec)
		}
	}
}

// memory returns the step with what it remembers altered before it.
func memory(alter func(*reconcile.Record)) func(Step) Step {
	return func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			rec = roundTrip(rec)
			alter(&rec)
			return step(in, rec)
		}
	}
}

// decision returns the step with its decision altered.
func decision(alter func(reconcile.Input, reconcile.Record, *reconcile.Decision)) func(Step) Step {
	return func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			d, next := step(in, rec)
			alter(in, next, &d)
			return d, next
		}
	}
}

// Mutants are the mistakes that are tried.
var Mutants = []Mutant{
	{"forgets what ran beside the core before", "back", memory(func(rec *reconcile.Record) { rec.Past = nil }), 600},
	{"takes the core back alone", "back", memory(func(rec *reconcile.Record) {
		if rec.Past != nil && rec.Current != nil {
			rec.Past.Shared, rec.Past.Sidecars = maps.Clone(rec.Shared), maps.Clone(rec.Current.Sidecars)
		}
	}), 600},
	{"takes no routes for no writes", "S6", memory(func(rec *reconcile.Record) {
		if cur := rec.Current; cur != nil && cur.Entry.Tenant == "" {
			cur.Wrote = false
		}
		if a := rec.Attempt; a != nil && a.New.Entry.Tenant == "" {
			a.Wrote = false
		}
	}), 1000},
	{"skips the bake", "S10", want(func(t *plans.Tenant) { t.Bake, t.Soak.For = 0, 0 }), 200},
	{"switches before it verified", "S1", facts(func(in reconcile.Input, f *observed.Tenant) {
		for i := range f.Instances {
			if f.Instances[i].Slot != f.Route.Entry.Slot {
				f.Instances[i].Health.Verdict = observed.Healthy
			}
		}
	}), 100},
	{"stops the old slot before the switch", "S2", decision(func(in reconcile.Input, _ reconcile.Record, d *reconcile.Decision) {
		if d.Report.Phase == reconcile.Verify && in.Facts.Route.Entry.Slot != plans.NoSlot {
			d.Actions = append([]reconcile.Action{orderTo(reconcile.Stop, in.Facts.Route.Entry.Slot, "app")}, d.Actions...)
		}
	}), 100},
	{"retires what is kept before the bake is over", "S10", decision(func(in reconcile.Input, rec reconcile.Record, d *reconcile.Decision) {
		if d.Report.Phase == reconcile.Bake && rec.Kept != nil && in.Facts.Instance(rec.Kept.Slot, "app") != nil {
			d.Actions = append(d.Actions, orderTo(reconcile.Remove, rec.Kept.Slot, "app"))
		}
	}), 200},
	{"goes on though a person holds it", "S5", want(func(t *plans.Tenant) { t.Hold = nil }), 200},
	{"repairs a held tenant", "S5", decision(func(in reconcile.Input, rec reconcile.Record, d *reconcile.Decision) {
		if d.Report.State == reconcile.Held && rec.Current != nil {
			if i := in.Facts.Instance(rec.Current.Slot, "app"); i != nil && i.Phase == observed.Exited {
				d.Actions = append(d.Actions, orderTo(reconcile.Remove, rec.Current.Slot, "app"))
			}
		}
	}), 1000},
	{"tries again what is withheld", "S4", memory(func(rec *reconcile.Record) { rec.Withheld = nil }), 200},
	{"routes with a stale revision", "L1", decision(func(_ reconcile.Input, _ reconcile.Record, d *reconcile.Decision) {
		for i := range d.Actions {
			if d.Actions[i].Verb == reconcile.Route && d.Actions[i].Revision > 0 {
				d.Actions[i].Revision--
			}
		}
	}), 100},
	{"takes blindness for absence", "unknown", facts(func(in reconcile.Input, f *observed.Tenant) {
		if f.Runtime.Err != nil {
			f.Runtime = observed.Sight{At: in.Now}
			for i := range f.Instances {
				f.Instances[i].Phase, f.Instances[i].Restarts = observed.Exited, 9
			}
		}
	}), 300},
	{"gives up for an outage", "unknown", func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			in.Results = slices.Clone(in.Results)
			for i, r := range in.Results {
				if r.Problem != nil && r.Problem.Class == observed.Environment {
					p := *r.Problem
					p.Class = observed.Refused
					in.Results[i].Problem = &p
				}
			}
			return step(in, rec)
		}
	}, 200},
	{"finds more to do when it looks again", "S9", func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			again := rec.Clock.Equal(in.Now)
			d, rec := step(in, rec)
			if again && d.Report.State == reconcile.Converged {
				d.Actions = append(d.Actions, orderTo(reconcile.SetRouted, d.Report.Active, "app"))
			}
			return d, rec
		}
	}, 100},
	{"asks to be woken too late", "S9", decision(func(in reconcile.Input, _ reconcile.Record, d *reconcile.Decision) {
		if !d.Wake.IsZero() {
			d.Wake = in.Now.Add(4 * d.Wake.Sub(in.Now))
		}
	}), 100},
	{"gives up its mind over a held tenant", "total", decision(func(_ reconcile.Input, rec reconcile.Record, d *reconcile.Decision) {
		if d.Report.State == reconcile.Held {
			d.Report.Active = plans.Slot(rec.Withheld[0].Reason)
		}
	}), 200},
	{"leaves live data as they were made", "L1", decision(func(_ reconcile.Input, _ reconcile.Record, d *reconcile.Decision) {
		d.Actions = slices.DeleteFunc(d.Actions, func(a reconcile.Action) bool { return a.Verb == reconcile.Tune })
	}), 200},
	{"never goes back", "L1", decision(func(_ reconcile.Input, rec reconcile.Record, d *reconcile.Decision) {
		if rec.Attempt != nil && rec.Attempt.Back {
			d.Actions = nil
		}
	}), 100},
	{"keeps no record of attempts", "L1", memory(func(rec *reconcile.Record) { rec.Attempt = nil }), 100},
	{"mounts the old data in the new slot", "S6", decision(func(in reconcile.Input, rec reconcile.Record, d *reconcile.Decision) {
		for i := range d.Actions {
			a := &d.Actions[i]
			if a.Verb != reconcile.Start || rec.Attempt == nil || a.Key.Slot != rec.Attempt.New.Slot || len(a.Instance.Volumes) == 0 {
				continue
			}
			for _, set := range in.Facts.Datasets {
				if set.Role == observed.Live && set.Slot == a.Key.Slot.Other() {
					inst := *a.Instance
					inst.Volumes = map[string]plans.Bind{"/data": {Host: set.Path}}
					a.Instance = &inst
				}
			}
		}
	}), 2000},
	{"does not wait for open requests", "drain", facts(func(_ reconcile.Input, f *observed.Tenant) {
		slots := map[plans.Slot]observed.Usage{}
		for slot, u := range f.Route.Slots {
			u.InFlight = 0
			slots[slot] = u
		}
		f.Route.Slots = slots
	}), 2000},
	{"stops the writers without a hold", "S2", func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			if a := rec.Attempt; a != nil && a.Hold != nil {
				f := *in.Facts
				f.Route.Held = true
				f.Route.Entry.Hold = &plans.Hold{ID: a.Hold.ID, Limit: a.Hold.Limit}
				in.Facts = &f
			}
			d, rec := step(in, rec)
			for i := range d.Actions {
				if e := d.Actions[i].Entry; e != nil && e.Hold != nil {
					bare := *e
					bare.Hold = nil
					d.Actions[i].Entry = &bare
				}
			}
			return d, rec
		}
	}, 300},
	{"holds longer than the plan allows", "S2", decision(func(_ reconcile.Input, _ reconcile.Record, d *reconcile.Decision) {
		for i := range d.Actions {
			if e := d.Actions[i].Entry; e != nil && e.Hold != nil {
				long := *e
				long.Hold = &plans.Hold{ID: e.Hold.ID, Limit: 2 * e.Hold.Limit}
				d.Actions[i].Entry = &long
			}
		}
	}), 100},
	{"waits with repairs for what an upgrade waits for", "care", decision(func(in reconcile.Input, rec reconcile.Record, d *reconcile.Decision) {
		if t := rec.Trouble; t != nil && in.Now.Before(t.Next) {
			d.Actions = slices.DeleteFunc(d.Actions, func(a reconcile.Action) bool { return a.Step == reconcile.Repair })
		}
	}), 1000},
	{"clones before the writers stop", "S6", func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			if in.Want != nil && in.Want.Volumes["data"].Writes == plans.Quiesce {
				t := *in.Want
				v := t.Volumes["data"]
				v.Writes = plans.Replay
				t.Volumes = map[string]plans.Volume{"data": v}
				in.Want = &t
			}
			return step(in, rec)
		}
	}, 2000},
	{"runs its jobs again", "S7", func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			rec = roundTrip(rec)
			again := rec.Attempt != nil && rec.Attempt.Phase == reconcile.Verify && len(rec.Attempt.Jobs) > 0
			if again {
				rec.Attempt.Jobs = nil
			}
			d, next := step(in, rec)
			if i := in.Facts.Instance(plans.Green, "migrate"); i != nil && i.Phase == observed.Exited && rec.Attempt != nil &&
				i.Attempt == rec.Attempt.ID && rec.Attempt.Phase == reconcile.Verify {
				d.Actions = append(d.Actions, orderTo(reconcile.Remove, plans.Green, "migrate"))
				if next.Attempt != nil {
					next.Attempt.Jobs, next.Attempt.Phase = nil, reconcile.Verify
				}
			}
			return d, next
		}
	}, 500},
	{"looks for a snapshot by a name it had", "S6", memory(func(rec *reconcile.Record) {
		if a := rec.Attempt; a != nil {
			for name := range a.Restore {
				a.Restore[name] = "acme/data/tenant@" + a.Restore[name]
			}
		}
	}), 600},
	{"destroys what serves", "S6", decision(func(in reconcile.Input, rec reconcile.Record, d *reconcile.Decision) {
		if d.Report.Phase == reconcile.Retire || len(d.Actions) > 0 && d.Actions[0].Step == reconcile.Retire {
			for _, set := range in.Facts.Datasets {
				if rec.Current != nil && set.ID == rec.Current.Data["data"] {
					d.Actions = append(d.Actions, reconcile.Action{ID: Name + "/-/retire/destroy/" + set.ID, Tenant: Name, Verb: reconcile.Destroy, Dataset: set.ID})
				}
			}
		}
	}), 500},
	{"orders the same again for ever", "L1", decision(func(in reconcile.Input, _ reconcile.Record, d *reconcile.Decision) {
		if d.Report.State == reconcile.Converged && len(d.Actions) == 0 && in.Facts.Route.Entry.Slot != plans.NoSlot {
			d.Actions = append(d.Actions, reconcile.Action{ID: Name + "/-/repair/setRouted", Tenant: Name, Verb: reconcile.SetRouted,
				Key: plans.Key{Tenant: Name, Slot: in.Facts.Route.Entry.Slot, Service: "app"}, Routed: true})
		}
	}), 100},
	{"says no spec has to be kept", "L1", decision(func(_ reconcile.Input, _ reconcile.Record, d *reconcile.Decision) {
		d.Report.Specs = nil
	}), 200},
	{"writes into the memory it was handed", "pure", func(step Step) Step {
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			if rec.Current != nil {
				rec.Current.Since = in.Now.Add(time.Second)
			}
			return step(in, rec)
		}
	}, 100},
	{"decides by something besides its input", "pure", func(step Step) Step {
		n := 0
		return func(in reconcile.Input, rec reconcile.Record) (reconcile.Decision, reconcile.Record) {
			n++
			d, rec := step(in, rec)
			d.Wake = d.Wake.Add(time.Duration(n))
			return d, rec
		}
	}, 100},
}

// orderTo is an order about one instance that no row of the step gave.
func orderTo(v reconcile.Verb, slot plans.Slot, service string) reconcile.Action {
	key := plans.Key{Tenant: Name, Slot: slot, Service: service}
	return reconcile.Action{ID: Name + "/mutant/" + string(v) + "/" + key.String(), Tenant: Name, Verb: v,
		Step: reconcile.Soak, Key: key, Slot: slot, Grace: time.Second}
}
