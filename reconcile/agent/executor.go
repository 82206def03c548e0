package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// logLines is how much of an instance's output a problem keeps.
const logLines = 20

// defaultLimit bounds an action that brings no limit of its own.
const defaultLimit = time.Minute

// executor carries out actions: one verb, one driver call. It decides nothing
// and knows no tenant beyond the action. Safe for use by many goroutines.
type executor struct {
	hands
	host     Host
	inputs   *inputs
	redact   *Redactor
	now      func() time.Time
	progress func(Progress)
	keepFree int64 // bytes of each storage
	rooms    rooms
}

// outcome is what became of one action.
type outcome struct {
	result reconcile.Result
	checks []observed.Check // of a Check
	moved  drivers.Progress // of a pull or a copy, the last told
}

// do carries out a. Its context's cause says why it was cancelled.
func (x *executor) do(ctx context.Context, a reconcile.Action) outcome {
	limit := a.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than its limit of %s", limit))
	defer cancel()
	out := outcome{result: reconcile.Result{ID: a.ID, Verb: a.Verb}}
	x.report(Progress{Tenant: a.Tenant, Action: a, ID: a.ID, Verb: a.Verb, Target: Target(a)})
	begin := x.now()
	x.rooms.begins(a)
	err := x.call(ctx, a, &out)
	out.result.Took = x.now().Sub(begin)
	if err != nil {
		out.result.Problem = x.problem(ctx, a, err, out.moved)
	}
	x.report(Progress{Tenant: a.Tenant, Action: a, ID: a.ID, Verb: a.Verb, Target: Target(a), Result: &out.result})
	return out
}

func (x *executor) report(p Progress) {
	if x.progress != nil {
		x.progress(p)
	}
}

func (x *executor) call(ctx context.Context, a reconcile.Action, out *outcome) error {
	switch a.Verb {
	case reconcile.Check:
		out.checks = x.checks(ctx, a)
		return nil
	case reconcile.Forget:
		return nil // the engine's own memory
	case reconcile.Pull:
		rt, err := x.runtime(a.Tenant)
		if err != nil {
			return err
		}
		return rt.Pull(ctx, a.Image, x.moved(a, out))
	case reconcile.Start, reconcile.Stop, reconcile.Remove, reconcile.SetRouted:
		return x.instance(ctx, a)
	case reconcile.Create, reconcile.Snapshot, reconcile.Clone, reconcile.Promote, reconcile.SetRole, reconcile.Tune,
		reconcile.Destroy, reconcile.Retain, reconcile.Release:
		return x.volume(ctx, a, out)
	case reconcile.Measure:
		return x.measure(ctx, a, out)
	case reconcile.Route, reconcile.Unroute, reconcile.Confirm, reconcile.Cut:
		return x.route(ctx, a, out)
	}
	return &observed.Problem{Class: observed.Refused, Text: fmt.Sprintf("unknown verb %q", a.Verb)}
}

func (x *executor) instance(ctx context.Context, a reconcile.Action) error {
	key := a.Key
	if a.Instance != nil {
		key = a.Instance.Key
	}
	rt, err := x.runtimeOf(key)
	if err != nil {
		return err
	}
	switch a.Verb {
	case reconcile.Stop:
		return rt.Stop(ctx, a.ID, key, a.Grace)
	case reconcile.Remove:
		return rt.Remove(ctx, a.ID, key)
	case reconcile.SetRouted:
		return rt.SetRouted(ctx, a.ID, key, a.Routed)
	}
	want := *a.Instance
	spec := want.Generation
	if spec == "" {
		spec = want.Digest
	}
	files, err := x.inputs.resolve(a.Tenant, spec, want.Spec.EnvFrom)
	if err != nil {
		return observed.Wrap("read input", key.String(), observed.Refused, err,
			"put the file there, readable for reconcile, then raise its version in the plan")
	}
	want.Spec.EnvFrom = files
	// A tenant whose runtime changed starts on the new one.
	if rt, err = x.runtime(a.Tenant); err != nil {
		return err
	}
	return rt.Start(ctx, a.ID, want)
}

func (x *executor) volume(ctx context.Context, a reconcile.Action, out *outcome) error {
	name, volume := a.Dataset, plans.Volume{}
	if a.Volume != nil {
		name, volume = a.Volume.Name, a.Volume.Volume
	}
	ids := a.Datasets
	if a.Dataset != "" {
		ids = []string{a.Dataset}
	}
	st, err := x.storage(volume, ids...)
	if err != nil {
		return observed.Wrap(string(a.Verb), name, observed.Refused, err, "")
	}
	switch a.Verb {
	case reconcile.Create:
		_, err = st.Create(ctx, a.ID, order(a))
	case reconcile.Snapshot:
		attempt := ""
		if a.Volume != nil {
			attempt = a.Volume.Attempt
		}
		_, err = st.Snapshot(ctx, a.ID, attempt, a.Datasets, x.moved(a, out))
	case reconcile.Clone:
		_, err = st.Clone(ctx, a.ID, a.Dataset, order(a), x.moved(a, out))
	case reconcile.Promote:
		err = st.Promote(ctx, a.ID, a.Dataset)
	case reconcile.SetRole:
		err = st.SetRole(ctx, a.ID, a.Dataset, a.Role, a.Slot)
	case reconcile.Tune:
		err = st.Tune(ctx, a.ID, a.Dataset, volume)
	case reconcile.Retain:
		err = st.Hold(ctx, a.ID, a.Dataset, a.Tag)
	case reconcile.Release:
		err = st.Release(ctx, a.ID, a.Dataset, a.Tag)
	case reconcile.Destroy:
		err = st.Destroy(ctx, a.ID, a.Dataset)
	}
	return err
}

// measure asks how much was written to a dataset since a snapshot of it.
func (x *executor) measure(ctx context.Context, a reconcile.Action, out *outcome) error {
	st, err := x.storage(plans.Volume{}, a.Dataset)
	if err != nil {
		return observed.Wrap("measure", a.Dataset, observed.Refused, err, "")
	}
	out.result.Since, out.result.AtMost = a.Datasets[0], st.Traits().AtMost
	out.result.Bytes, err = st.Written(ctx, a.Dataset, out.result.Since)
	return err
}

func order(a reconcile.Action) drivers.VolumeOrder {
	v := a.Volume
	return drivers.VolumeOrder{
		Tenant: a.Tenant, Name: v.Name, Slot: v.Slot, Volume: v.Volume,
		Attempt: v.Attempt, Generation: v.Generation, Commit: v.Commit, Role: v.Role,
	}
}

func (x *executor) route(ctx context.Context, a reconcile.Action, out *outcome) (err error) {
	switch a.Verb {
	case reconcile.Route:
		_, err = x.router.Set(ctx, a.ID, *a.Entry, a.Revision)
	case reconcile.Unroute:
		err = x.router.Delete(ctx, a.ID, a.Tenant, a.Revision)
	case reconcile.Cut:
		out.result.Cut, err = x.router.Cut(ctx, a.ID, a.Tenant, a.Slot)
	case reconcile.Confirm:
		err = x.confirm(ctx, *a.Entry)
	}
	return err
}

// confirm sends a marked request to every route of the entry.
func (x *executor) confirm(ctx context.Context, e plans.Entry) error {
	for _, r := range e.Routes {
		got, err := x.router.Check(ctx, r.Host, r.Path)
		if err != nil {
			return err
		}
		if got.Slot != e.Slot {
			return &observed.Problem{Op: "confirm", Ref: r.Host + r.Path, Class: observed.Conflict,
				Text: fmt.Sprintf("answered by slot %q, not by %q", got.Slot, e.Slot),
				Hint: "something else changed the route; reconcile looks again by itself"}
		}
	}
	return nil
}

// moved keeps how far a pull or a copy is, and tells who watches.
func (x *executor) moved(a reconcile.Action, out *outcome) func(drivers.Progress) {
	var mu sync.Mutex
	return func(p drivers.Progress) {
		mu.Lock()
		out.moved = p
		mu.Unlock()
		if x.progress != nil {
			x.progress(Progress{Tenant: a.Tenant, Action: a, ID: a.ID, Verb: a.Verb, Target: Target(a), Moved: &p})
		}
	}
}

// problem makes err what the core and a person can use: classed, with a hint,
// with the instance's last output where that explains it, and without secrets.
func (x *executor) problem(ctx context.Context, a reconcile.Action, err error, moved drivers.Progress) *observed.Problem {
	class, hint := observed.ClassOf(err), ""
	if cause := context.Cause(ctx); cause != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, cause)) {
		return x.clean(*cutOff(ctx, a, moved))
	}
	p := *observed.Wrap(string(a.Verb), Target(a), class, err, hint)
	p.Text += sofar(moved)
	if a.Verb == reconcile.Start && p.Log == "" && a.Instance != nil {
		p.Log = x.logs(ctx, a.Instance.Key)
	}
	return x.clean(p)
}

// cutOff is the problem of an action that was ended before it was done. Our own
// limit on a pull or a copy says nothing about any release: disks and networks
// are as fast as they are.
func cutOff(ctx context.Context, a reconcile.Action, moved drivers.Progress) *observed.Problem {
	p := &observed.Problem{Op: string(a.Verb), Ref: Target(a), Class: observed.Transient, Text: context.Cause(ctx).Error() + sofar(moved)}
	switch a.Verb {
	case reconcile.Pull, reconcile.Create, reconcile.Snapshot, reconcile.Clone, reconcile.Promote, reconcile.Destroy, reconcile.Measure:
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			p.Class, p.Hint = observed.Environment, "look what else keeps the disk or the network busy; it is begun again by itself"
		}
	}
	return p
}

// sofar says how far a pull or a copy came, "" where that is not known.
func sofar(moved drivers.Progress) string {
	switch {
	case moved.Done == 0:
		return ""
	case moved.Total == 0:
		return ", after " + Size(moved.Done)
	}
	return ", after " + Size(moved.Done) + " of " + Size(moved.Total)
}

// logs returns the last lines of an instance, "" if there are none to be had.
func (x *executor) logs(ctx context.Context, key plans.Key) string {
	rt, err := x.runtimeOf(key)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	text, err := rt.Logs(ctx, key, logLines)
	if err != nil {
		return ""
	}
	return x.redact.Text(text)
}

// clean removes secrets. The cause is dropped with them: its text is not ours.
func (x *executor) clean(p observed.Problem) *observed.Problem {
	return &observed.Problem{
		Op: p.Op, Ref: x.redact.Text(p.Ref), Class: p.Class,
		Text: x.redact.Text(p.Text), Hint: x.redact.Text(p.Hint), Log: x.redact.Text(p.Log), Full: p.Full,
	}
}

// Target is what an action is done to, as lists and previews show it.
func Target(a reconcile.Action) string {
	switch {
	case a.Instance != nil:
		return a.Instance.Key.String()
	case a.Key != plans.Key{}:
		return a.Key.String()
	case a.Verb == reconcile.Route && a.Entry != nil && a.Entry.Slot != plans.NoSlot:
		return a.Tenant + "→" + string(a.Entry.Slot)
	case a.Image != "":
		return a.Image
	case len(a.Datasets) > 0 && a.Dataset == "":
		return strings.Join(a.Datasets, ", ")
	case a.Volume != nil:
		return a.Tenant + "/" + string(a.Volume.Slot) + "/" + a.Volume.Name
	case a.Dataset != "":
		return a.Dataset
	case a.Slot != plans.NoSlot:
		return a.Tenant + "/" + string(a.Slot)
	}
	return a.Tenant
}
