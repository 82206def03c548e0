package sim

import (
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// gated are the services of a slot that must have proved themselves before it
// is routed, and that make it healthy.
var gated = []string{"app", "api"}

// checkRoute holds S1: a route never points at a slot whose generation has not
// passed its gate, and S2: some slot is routed on every way out.
func (b *books) checkRoute(in reconcile.Input, route observed.Route, a reconcile.Action) {
	slot := a.Entry.Slot
	switch {
	case slot == plans.NoSlot:
		b.fail("S2", "the routes lead nowhere: %s", a.ID)
		return
	case slot == route.Entry.Slot:
		b.checkHold(a)
		return // no switch
	case slot == b.routed:
		return // a repair: this is where they were led by right
	}
	if in.Facts.Runtime.Blind() {
		b.fail("S1", "switched to %s by a look that saw no instances: %s", slot, a.ID)
		return
	}
	if slot == b.before && (route.Entry.Slot == plans.NoSlot || route.Entry.Slot == b.routed && !b.serves(in, route.Entry.Slot)) {
		b.leaveBehind(slot)
		return // going back where nothing that serves is routed: nothing is lost by it
	}
	app := in.Facts.Instance(slot, "app")
	if app == nil {
		b.fail("S1", "switched to %s, where there is no app: %s", slot, a.ID)
		return
	}
	core := b.w.cores[app.Generation]
	for _, name := range gated {
		if _, part := core.Services[name]; !part {
			continue
		}
		i := in.Facts.Instance(slot, name)
		switch {
		case i == nil || i.Generation != app.Generation:
			b.fail("S1", "switched to %s without its %s: %s", slot, name, a.ID)
		case b.asItIs && slot == b.before: // a person said so
		case i.Phase != observed.Running || !b.proved(i):
			b.fail("S1", "switched to %s, whose %s (%s, %s) gave %d good answers in a row: %s",
				slot, name, i.ID, i.Phase, b.runs[life{i.ID, i.Started}].good, a.ID)
		}
	}
	_, migrates := core.Services["migrate"]
	if migrates && slot != b.before && b.versions[app.Generation] == nil {
		if j := in.Facts.Instance(slot, "migrate"); j == nil || j.Phase != observed.Exited || j.Exit != 0 {
			b.fail("S1", "switched to %s, whose job has not ended well: %s", slot, a.ID)
		}
	}
	b.reached["switched"]++
	if slot == b.before {
		b.leaveBehind(slot)
	}
	b.checkData(slot, "is switched to")
	b.checkLineage(slot, route.Entry.Slot)
	b.checkHold(a)
}

// checkHold bounds a hold by what the plan allows: where it says nothing, by
// the time a start may take beside the default.
func (b *books) checkHold(a reconcile.Action) {
	limit := holdLimit
	if b.w.shape.Volume != plans.Quiesce {
		limit = within + plans.DefaultHoldLimit
	}
	if h := a.Entry.Hold; h != nil && h.Limit > limit {
		b.fail("S2", "requests may wait %s, the plan allows %s: %s", h.Limit, limit, a.ID)
	}
}

// checkUnroute: routes go only with the tenant, with its routes, by a person's
// word, or with a first version that failed. A switch that came late may find
// its attempt undone already.
func (b *books) checkUnroute(in reconcile.Input, route observed.Route, a reconcile.Action, failed bool) {
	meant := in.Want == nil || in.Want.Removed || len(in.Want.Routes) == 0 || b.word || failed || b.w.opt.Late > 0
	if !meant && route.Entry.Slot == b.routed && b.serves(in, route.Entry.Slot) {
		b.fail("S2", "the routes of a healthy tenant were taken away")
	}
	if a.Step != reconcile.Removing {
		b.routed, b.before = plans.NoSlot, plans.NoSlot // the next version is a first one again
	}
}

// serves says whether all gated services of a slot are well in these facts.
func (b *books) serves(in reconcile.Input, slot plans.Slot) bool {
	app := in.Facts.Instance(slot, "app")
	if app == nil {
		return false
	}
	for _, name := range gated {
		i := in.Facts.Instance(slot, name)
		if i == nil {
			if _, part := b.w.cores[app.Generation].Services[name]; part {
				return false
			}
			continue
		}
		if i.Phase != observed.Running || !b.proved(i) {
			return false
		}
	}
	return true
}

// checkStop holds S2: while a healthy routed slot exists, no action of ours
// stops or removes it, but within a confirmed hold.
func (b *books) checkStop(in reconcile.Input, route observed.Route, a reconcile.Action) {
	if a.Key.Service != "app" && a.Key.Service != "api" || a.Key.Slot != route.Entry.Slot || in.Want != nil && in.Want.Removed {
		return
	}
	if in.Facts.Router.Blind() || in.Facts.Runtime.Blind() {
		b.fail("S2", "%s of %s though it could not be seen what is routed", a.Verb, a.Key)
		return
	}
	i := in.Facts.Instance(a.Key.Slot, a.Key.Service)
	if i == nil || i.Phase != observed.Running || !b.proved(i) || route.Held {
		return
	}
	if _, part := b.w.cores[i.Generation].Services[a.Key.Service]; !part {
		return
	}
	b.fail("S2", "%s of %s, which is routed and healthy, without a hold", a.Verb, a.Key)
}

// checkBake holds the way back: what served before is not taken away before
// the new version has served for its bake. What had passed one needs no other.
func (b *books) checkBake(in reconcile.Input, a reconcile.Action) {
	if b.back || b.before == plans.NoSlot || a.Key.Slot != b.before || a.Key.Service != "app" || in.Want == nil || in.Want.Removed {
		return
	}
	i := in.Facts.Instance(a.Key.Slot, a.Key.Service)
	if i == nil || b.versions[i.Generation] == nil {
		return // it never served whole: nothing to go back to
	}
	if b.carries || b.w.shape.OnBack == plans.Carry && in.Want.Core.Generation() == i.Generation {
		return // the way back is being gone: it is made anew in its slot, on the data of now; the plan may move on meanwhile
	}
	if b.doomed {
		return // a removal that is taken back brings back what serves, and not its bake
	}
	if in.Facts.Route.Entry.Slot != b.routed || b.w.shape.Recreate && a.Verb == reconcile.Stop {
		return
	}
	if held := b.w.now.Sub(b.since); held < bake.Std() {
		b.fail("S10", "%s of %s, the way back, %s after the switch: the bake is %s", a.Verb, a.Key, held, bake)
	}
}

// checkDrain: an old slot is not stopped while it has requests open, but after
// the time the plan gives them.
func (b *books) checkDrain(in reconcile.Input, route observed.Route, a reconcile.Action) {
	if a.Key.Service != "app" || a.Key.Slot == route.Entry.Slot || a.Key.Slot != b.before || in.Facts.Router.Blind() {
		return
	}
	if in.Facts.Route.Entry.Slot != b.routed {
		return
	}
	open := in.Facts.Route.Slots[a.Key.Slot].InFlight
	if open > 0 && b.w.now.Sub(b.since) < drain.Std() && in.Want != nil && !in.Want.Removed {
		b.fail("drain", "%s of %s with %d requests open, %s after the switch", a.Verb, a.Key, open, b.w.now.Sub(b.since))
	}
}
