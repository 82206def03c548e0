package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// boundary is a place where we may die.
func (w *world) boundary(where string) bool {
	if !w.books.boundary(where) && (w.calm || !w.chance("Crash", w.opt.Crash)) {
		return false
	}
	w.crash(where)
	return true
}

// turn is one turn of our loop: look, step, journal, act. It returns what was
// decided; false where we died on the way.
func (w *world) turn() (reconcile.Decision, bool) {
	w.turns++
	w.look()
	in := reconcile.Input{
		Name: Name, Want: w.want, Permit: w.permit, Facts: &w.facts, Results: w.results,
		Answers: w.answers, Local: w.local, Data: w.data, Retry: w.retry, Now: w.clock(), Env: w.env(),
	}
	before := w.rec
	d, rec := w.step(in, before)
	w.trace.decided(w, d)
	w.books.decided(in, before, d, rec)
	if w.boundary("before the journal") {
		return d, false
	}
	w.commit(d, rec)
	w.books.note(d)
	w.results, w.retry, w.local, w.data = nil, false, "", nil
	if w.boundary("after the journal") {
		return d, false
	}
	for _, a := range d.Actions {
		if w.boundary("before " + a.ID) {
			return d, false
		}
		w.books.acting(a)
		res := w.do(a)
		w.trace.acted(w, a, res)
		w.atSwitch(a)
		w.books.moved()
		if w.boundary("after " + a.ID) {
			return d, false
		}
		if res.Verb == reconcile.Forget && res.Problem == nil {
			w.forget()
			w.results = nil
			return d, true
		}
		w.results = append(w.results, res)
		if res.Problem != nil {
			break
		}
		w.advance(time.Duration(1+w.dice.Of("pace").IntN(200)) * time.Millisecond)
	}
	return d, true
}

// do carries out one action: one verb, one driver call.
func (w *world) do(a reconcile.Action) reconcile.Result {
	res := reconcile.Result{ID: a.ID, Verb: a.Verb}
	if err := w.call(a, &res); err != nil {
		res.Problem = observed.Wrap(string(a.Verb), a.Tenant, observed.ClassOf(err), err, "")
	}
	return res
}

func (w *world) call(a reconcile.Action, res *reconcile.Result) (err error) {
	ctx := context.Background()
	switch a.Verb {
	case reconcile.Create, reconcile.Snapshot, reconcile.Clone:
		if !w.calm && w.chance("Half", w.opt.Half) {
			w.host.HalfMade(1)
			defer w.host.HalfMade(0)
		}
	}
	switch a.Verb {
	case reconcile.Check:
		w.check(ctx, a)
	case reconcile.Pull:
		err = w.runtime.Pull(ctx, a.Image, nil)
	case reconcile.Start:
		err = w.runtime.Start(ctx, a.ID, *a.Instance)
	case reconcile.Stop:
		err = w.runtime.Stop(ctx, a.ID, a.Key, a.Grace)
	case reconcile.Remove:
		err = w.runtime.Remove(ctx, a.ID, a.Key)
	case reconcile.SetRouted:
		err = w.runtime.SetRouted(ctx, a.ID, a.Key, a.Routed)
	case reconcile.Create:
		_, err = w.storage.Create(ctx, a.ID, order(a))
	case reconcile.Snapshot:
		_, err = w.storage.Snapshot(ctx, a.ID, a.Volume.Attempt, a.Datasets, nil)
	case reconcile.Clone:
		_, err = w.storage.Clone(ctx, a.ID, a.Dataset, order(a), nil)
	case reconcile.Promote:
		err = w.storage.Promote(ctx, a.ID, a.Dataset)
	case reconcile.SetRole:
		err = w.storage.SetRole(ctx, a.ID, a.Dataset, a.Role, a.Slot)
	case reconcile.Tune:
		err = w.storage.Tune(ctx, a.ID, a.Dataset, a.Volume.Volume)
	case reconcile.Retain:
		err = w.storage.Hold(ctx, a.ID, a.Dataset, a.Tag)
	case reconcile.Release:
		err = w.storage.Release(ctx, a.ID, a.Dataset, a.Tag)
	case reconcile.Measure:
		res.Since = a.Datasets[0]
		res.Bytes, err = w.storage.Written(ctx, a.Dataset, res.Since)
	case reconcile.Destroy:
		err = w.storage.Destroy(ctx, a.ID, a.Dataset)
	case reconcile.Route:
		_, err = w.router.Set(ctx, a.ID, *a.Entry, a.Revision)
	case reconcile.Unroute:
		err = w.router.Delete(ctx, a.ID, a.Tenant, a.Revision)
	case reconcile.Confirm:
		err = w.confirm(ctx, a)
	case reconcile.Cut:
		res.Cut, err = w.router.Cut(ctx, a.ID, a.Tenant, a.Slot)
	case reconcile.Forget:
	default:
		err = fmt.Errorf("unknown verb %q", a.Verb)
	}
	return err
}

func order(a reconcile.Action) drivers.VolumeOrder {
	v := a.Volume
	return drivers.VolumeOrder{Tenant: a.Tenant, Name: v.Name, Slot: v.Slot, Volume: v.Volume,
		Attempt: v.Attempt, Generation: v.Generation, Role: v.Role}
}

func (w *world) confirm(ctx context.Context, a reconcile.Action) error {
	for _, r := range a.Entry.Routes {
		got, err := w.router.Check(ctx, r.Host, r.Path)
		if err != nil {
			return err
		}
		if got.Slot != a.Entry.Slot {
			return &observed.Problem{Op: "confirm", Ref: r.Host, Class: observed.Conflict, Text: "answered by " + string(got.Slot)}
		}
	}
	return nil
}

// check makes the preflight table.
func (w *world) check(ctx context.Context, a reconcile.Action) {
	subject := a.Generation
	if subject == "" {
		subject = a.Digest
	}
	var lines []observed.Check
	for _, c := range a.Checks {
		line := observed.Check{ID: c.ID, For: subject, At: w.clock(), OK: true}
		if err := w.checkOne(ctx, c); err != nil {
			line.OK, line.Problem = false, observed.Wrap("check", c.ID, observed.ClassOf(err), err, "")
			line.Text = line.Problem.Text
		}
		lines = append(lines, line)
	}
	for _, was := range w.facts.Preflight {
		if was.For == subject && !slices.ContainsFunc(lines, func(c observed.Check) bool { return c.ID == was.ID }) {
			lines = append(lines, was)
		}
	}
	w.facts.Preflight = lines
}

func (w *world) checkOne(ctx context.Context, c reconcile.CheckOrder) error {
	switch c.Kind {
	case "image", "present":
		there, err := w.runtime.Present(ctx, c.Image)
		if err != nil {
			return err
		}
		if !there {
			return &observed.Problem{Class: observed.Refused, Text: "image " + c.Image + " is not on this host"}
		}
	case "space":
		for _, r := range c.Rooms {
			free, err := w.storage.Free(ctx, r.Spec)
			if err != nil {
				return err
			}
			if free == 0 {
				return &observed.Problem{Class: observed.Environment, Text: "no space left on device"}
			}
		}
	case "port":
		if owner := w.host.PortOwner(c.Port); owner != "" && (c.Key == plans.Key{} || owner != c.Key.String()) {
			return &observed.Problem{Class: observed.Refused, Text: fmt.Sprintf("port %d is taken by %s", c.Port, owner)}
		}
	}
	return nil
}
