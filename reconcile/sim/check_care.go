package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// rest is the longest that one that ends again and again is left down between two
// starts of ours, and some.
const rest = 45 * time.Second

// checkCare: while an upgrade gets ready, what serves is put right by the very step
// that sees it down, whatever the upgrade waits for: a registry, a pause, its turn.
func (b *books) checkCare(in reconcile.Input, before reconcile.Record, d reconcile.Decision) {
	f, a := in.Facts, before.Attempt
	app := f.Instance(f.Route.Entry.Slot, "app")
	if app != nil {
		if l := (life{app.ID, app.Started}); b.saw[l].IsZero() {
			b.saw[l] = b.latest
		}
	}
	if f.Runtime.Blind() || f.Router.Blind() || f.Storage.Blind() || in.Want == nil || in.Want.Removed || in.Want.Hold != nil {
		return
	}
	if a == nil || a.Back || a.Phase != reconcile.Preflight || d.Report.Phase != reconcile.Preflight || d.Report.Question != nil {
		return
	}
	if app == nil || app.Phase != observed.Exited || app.Restarting || f.Route.Entry.Slot != b.routed || f.Route.Entry.Hold != nil {
		return
	}
	if before.Current == nil || before.Current.Generation != app.Generation || !before.Flapping.IsZero() || d.Report.Reason == reconcile.Flapping {
		return // something else than what serves, or given up
	}
	if _, known := b.w.cores[app.Generation]; !known {
		return
	}
	repair := "/" + string(reconcile.Repair) + "/"
	if before.RepairTrouble != nil {
		return // that is waited out
	}
	if slices.ContainsFunc(in.Results, func(r reconcile.Result) bool { return r.Problem != nil && strings.Contains(r.ID, repair) }) {
		return
	}
	if b.latest.Sub(b.saw[life{app.ID, app.Started}]) < rest {
		return // a start that nobody saw counts from the look that found it
	}
	b.reached["care"]++
	if !slices.ContainsFunc(d.Actions, func(a reconcile.Action) bool {
		key := a.Key
		if a.Instance != nil {
			key = a.Instance.Key
		}
		return key == app.Key && (a.Verb == reconcile.Start || a.Verb == reconcile.Remove) || a.Verb == reconcile.Route
	}) {
		b.fail("care", "%s serves and is down, and nothing is done about it: %s", app.Key, d.Report.Why)
	}
}
