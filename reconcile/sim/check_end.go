package sim

import (
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// checkBack holds S10: a generation that is reached again is what it was.
func (b *books) checkBack(r reconcile.Report) {
	truth := b.w.truth()
	now := version{}
	for _, i := range truth.Instances {
		if i.Slot == r.Active && i.Generation == r.Generation && !i.Job {
			now[i.Service] = observed.Instance{Digest: i.Digest, Image: i.Image}
		}
	}
	was, known := b.versions[r.Generation]
	if !known {
		b.versions[r.Generation] = now
		if app := b.w.word.App; !slices.Contains(b.history, app) {
			b.history = append(b.history, app)
		}
		return
	}
	b.reached["again"]++
	for _, name := range sorted(was) {
		if i, there := now[name]; there && (i.Digest != was[name].Digest || i.Image != was[name].Image) {
			b.fail("S10", "%s of %s is %s %s, it was %s %s", name, r.Generation, i.Digest, i.Image, was[name].Digest, was[name].Image)
		}
	}
}

// ended holds L1 and what must be true of a tenant at rest.
func (b *books) ended(d reconcile.Decision) {
	r := d.Report
	switch r.State {
	case reconcile.Converged, reconcile.Held:
	case reconcile.HeldBack:
		if r.Reason == "" || r.Why == "" {
			b.fail("L1", "heldBack without a reason: %+v", r)
		}
	default:
		// A tenant that serves and is not whole: a job after the switch failed or
		// was ended, what was upgraded alone got sick after its proof, or a person left
		// what failed where it is.
		spoilt := r.State == reconcile.Degraded && (b.w.shape.After || b.stayed ||
			strings.HasPrefix(b.w.word.Side, "late") || strings.HasPrefix(b.w.word.DB, "late") || strings.HasPrefix(b.w.word.Idle, "late"))
		if b.w.want != nil && !b.w.want.Removed && !spoilt && !b.lost(r) {
			b.fail("L1", "after the calm it is %q (%s, %s): %s", r.State, r.Reason, r.Phase, r.Why)
		}
	}
	if b.broken != nil {
		return
	}
	truth := b.w.truth()
	b.reached["end "+string(r.State)+" "+r.Reason]++
	switch {
	case b.w.want == nil:
	case b.w.want.Hold != nil: // it wins over a removal, too
	case b.w.want.Removed:
		b.checkRemoved(truth)
	default:
		b.checkServing(r, truth)
		b.checkRestored(r, &truth, true)
		if r.State == reconcile.Converged {
			b.checkConverged(r, truth)
		}
	}
}

// lost says that what runs came late of a tenant that was forgotten: nobody knows how to
// make it again, so the plan's version is refused for want of a way back.
func (b *books) lost(r reconcile.Report) bool {
	_, known := b.w.env().Core(r.Generation)
	return b.gone && !known && r.Failed && r.State == reconcile.Degraded
}

// checkRemoved: of a removed tenant nothing runs and nothing is routed.
func (b *books) checkRemoved(t observed.Tenant) {
	if len(t.Instances) > 0 || t.Route.Entry.Tenant != "" {
		b.fail("L1", "a removed tenant has %d instances and routes %v", len(t.Instances), t.Route.Entry.Tenant != "")
	}
}

// checkServing: on every way out a slot that served is routed, and no request
// waits for a hold of ours.
func (b *books) checkServing(r reconcile.Report, t observed.Tenant) {
	e := t.Route.Entry
	if t.Route.Held { // an expired one means nothing
		b.fail("S2", "a hold was left behind: %+v", e.Hold)
	}
	if !b.w.shape.Routes || len(b.versions) == 0 || r.Generation == "" {
		return
	}
	if e.Slot == plans.NoSlot {
		b.fail("S2", "at the end no slot is routed")
		return
	}
	app := t.Instance(e.Slot, "app")
	if app == nil {
		b.fail("S2", "at the end %s is routed, where there is no app (%s, %s: %s)", e.Slot, r.State, r.Reason, r.Why)
		return
	}
	if r.Active != e.Slot || r.Generation != app.Generation {
		b.fail("L1", "says that %s in %s serves, and it is %s in %s", r.Generation, r.Active, app.Generation, e.Slot)
	}
	// Of a target with a named idle slot it may be that one that failed, and of one that
	// came while its core was in its bake what moves alone: it is back at that core.
	if r.Restored && r.Reached != r.Target && r.Reached.Core == app.Generation {
		return
	}
	if r.State == reconcile.HeldBack && r.Reason == reconcile.Failed && r.Target.Core == app.Generation && r.Target.Idle == "" && b.versions[app.Generation] == nil &&
		len(b.versions) > 0 && b.w.shape.OnBack == plans.Discard {
		b.fail("S10", "%s failed and is still routed", app.Generation)
	}
}

// checkConverged: what is there is what the plan says, and nothing else.
func (b *books) checkConverged(r reconcile.Report, t observed.Tenant) {
	want := b.w.want
	if r.Generation != b.w.target.Core {
		b.fail("L1", "converged on %s, wanted %s", r.Generation, b.w.target.Core)
	}
	if want.ActiveSlot != plans.NoSlot && r.Active != want.ActiveSlot {
		b.fail("L1", "converged on slot %s, wanted %s", r.Active, want.ActiveSlot)
	}
	for name := range plans.Sorted(want.Core.Services) {
		b.checkInstance(t.Instance(r.Active, name), want.Core.Services[name], name, true)
	}
	for name := range plans.Sorted(want.Aside) {
		slot := r.Active
		if want.Aside[name].Scope == "tenant" {
			slot = plans.Shared
		}
		b.checkInstance(t.Instance(slot, name), want.Aside[name], name, true)
	}
	other := r.Active.Other()
	for _, i := range t.Instances {
		_, known := want.Service(i.Service)
		switch {
		case i.Slot == other && want.Idle == nil && r.Kept == plans.NoSlot:
			b.fail("L1", "left over in %s: %s", other, i.Key)
		case i.Slot == r.Active && !known:
			b.fail("L1", "left over: %s", i.Key)
		case i.Slot == other && i.Routed && !i.Job:
			b.fail("L1", "%s restarts by itself and is not routed", i.Key)
		}
	}
	for _, d := range t.Datasets {
		if d.Role == observed.Rehearsal && want.Idle == nil {
			b.fail("L1", "left over: rehearsal %s", d.ID)
		}
		if tuning := want.Volumes[d.Volume].Tuning(); d.Role == observed.Live && d.Ready && d.Tuning != tuning {
			b.fail("L1", "converged, and %s has %q, wanted %q", d.ID, d.Tuning, tuning)
		}
	}
	b.checkEntry(r, t)
	b.checkData(r.Active, "serves")
}

func (b *books) checkInstance(i *observed.Instance, s plans.Service, name string, routed bool) {
	switch {
	case s.Job != nil:
	case i == nil:
		b.fail("L1", "converged without %s", name)
	case i.Digest != s.Digest():
		b.fail("L1", "converged, and %s is %s, wanted %s", name, i.Digest, s.Digest())
	case i.Phase != observed.Running || i.Health.Verdict != observed.Healthy:
		b.fail("L1", "converged, and %s is %s and %q", name, i.Phase, i.Health.Verdict)
	case i.Routed != routed:
		b.fail("L1", "converged, and %s: routed is %v", i.Key, i.Routed)
	}
}

// checkEntry: the router has the routes of the plan.
func (b *books) checkEntry(r reconcile.Report, t observed.Tenant) {
	if !b.w.shape.Routes {
		return
	}
	e := t.Route.Entry
	var hosts []string
	for _, route := range e.Routes {
		hosts = append(hosts, route.Host)
		if i := b.w.host.PortOwner(portOf(route.Address[e.Slot])); i != (plans.Key{Tenant: Name, Slot: e.Slot, Service: "app"}).String() {
			b.fail("L1", "converged, and %s leads to %q", route.Host, i)
		}
	}
	if len(hosts) != b.w.word.Hosts {
		b.fail("L1", "converged with routes for %s, wanted %d", strings.Join(hosts, " "), b.w.word.Hosts)
	}
}
