package reconcile

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// quiesces says that the attempt moves data that must not be written meanwhile.
func (m *machine) quiesces() bool {
	a := m.rec.Attempt
	if a.Kind != KindCore || m.want == nil || m.rec.Current == nil || a.Reused {
		return false
	}
	for name, v := range plans.Sorted(m.want.Volumes) {
		if v.OnUpgrade == plans.Clone && v.Writes == plans.Quiesce && a.Restore[name] == "" {
			return true
		}
	}
	return false
}

// recreates says that the old version stops before the new one starts.
func (m *machine) recreates() bool {
	return m.rec.Attempt.Exclusive
}

// recreates says that a tenant moves by recreate: by its plan, or because two
// versions beside each other make no sense without routes between them.
func recreates(t *plans.Tenant) bool {
	return t.Strategy == plans.Recreate || len(t.Routes) == 0 && !t.Overlap
}

// stopsFirst says that the attempt stops old services before the switch.
func (m *machine) stopsFirst() bool {
	a := m.rec.Attempt
	return a != nil && (a.Stopped || m.quiesces() || m.recreates())
}

// holdLimit is the longest time requests may wait: the plan's, or for recreate
// without one, what a start may take beside the default.
func (m *machine) holdLimit() plans.Duration {
	if m.want == nil {
		return plans.DefaultHoldLimit
	}
	switch limit := m.saidHoldLimit(); {
	case limit > 0:
		return limit
	case !m.recreates():
		return plans.DefaultHoldLimit
	}
	parts, _ := m.attemptParts()
	var within plans.Duration
	for _, p := range runs(parts, false) {
		within = max(within, p.svc.Health.Effective().Within)
	}
	return within + plans.DefaultHoldLimit
}

// saidHoldLimit is the shortest that the plan says of a volume; 0 if of none.
func (m *machine) saidHoldLimit() plans.Duration {
	var limit plans.Duration
	if m.want == nil {
		return 0
	}
	for _, v := range plans.Sorted(m.want.Volumes) {
		if v.HoldLimit > 0 && (limit == 0 || v.HoldLimit < limit) {
			limit = v.HoldLimit
		}
	}
	return limit
}

// reserve is the end of a hold that is kept for undoing it: starting the old
// writers and releasing the requests.
func reserve(limit plans.Duration) time.Duration {
	return min(max(limit.Std()/4, 2*time.Second), 15*time.Second)
}

// undoAt is when an unfinished hold must be undone.
func (h *HoldWindow) undoAt() time.Time { return h.At.Add(h.Limit.Std() - reserve(h.Limit)) }

// end is when the data plane releases by itself.
func (h *HoldWindow) end() time.Time { return h.At.Add(h.Limit.Std()) }

// window is the hold in which the attempt goes forward and has not switched yet;
// nil if there is none.
func (m *machine) window() *HoldWindow {
	a := m.rec.Attempt
	if a == nil || a.Back || a.Switched || a.Ordered && m.routed() == a.New.Slot && a.Phase == Switch {
		return nil
	}
	return a.Hold
}

// newHold is a hold from now on. Its id is the attempt's and its time's, so that
// it is never confirmed by an earlier one.
func (m *machine) newHold() *HoldWindow {
	a := m.rec.Attempt
	return &HoldWindow{ID: m.in.Name + "/" + a.ID + "/" + digest(4, m.now.UTC().Format(time.RFC3339Nano)), At: m.now, Limit: m.holdLimit()}
}

// pressed says that requests wait, writers are stopped or something is frozen: no
// pause is kept.
func (m *machine) pressed() bool {
	a := m.rec.Attempt
	return a != nil && (a.Hold != nil && a.Back || len(a.Frozen) > 0)
}

// quiesce proves, in this order: requests wait at the router, none is open any
// more, what writes has stopped, and the final snapshot is taken.
func (m *machine) quiesce() bool {
	parts, known := m.parts(m.rec.Current)
	if !known && m.runsAnything(m.rec.Current.Slot) {
		m.fail("the spec of what runs ("+short(m.rec.Current.Generation)+") is not known any more: there would be no way back. "+
			"A plan that names that version makes it known", nil)
		return false
	}
	if !m.holdOn() {
		return false
	}
	// What is down and cannot be started serves nobody: there is nothing to stop,
	// and no way back to lose.
	if known && !m.stopWriters(parts) {
		return false
	}
	return !m.quiesces() || m.snapshots()
}

// holdOn proves the hold and the end of the open requests.
func (m *machine) holdOn() bool {
	a := m.rec.Attempt
	if m.rec.Entry.Tenant == "" {
		return true // no requests come through us
	}
	if a.Hold == nil {
		if m.waiting() {
			m.wakeAt(m.rec.Trouble.Next)
			return false
		}
		a.Hold = m.newHold()
	}
	if m.seen.Route.Expired && m.seen.Route.Entry.Hold != nil && m.seen.Route.Entry.Hold.ID == a.Hold.ID {
		m.fail("the hold of requests ran out before the new version was ready", nil)
		return false
	}
	if !m.held() {
		if !m.ordered(m.rec.Entry) {
			m.route(Quiesce, "hold", m.rec.Entry, a.Hold, "let requests wait while the data change hands")
		}
		m.wakeAt(a.Hold.undoAt())
		m.poll(pollHeld)
		return false
	}
	if open := m.seen.Route.Slots[m.rec.Current.Slot].InFlight; open > 0 && !a.Stopped {
		limit := a.Hold.Limit.Std() / 2
		if d := m.drainLimit(); d < limit {
			limit = d
		}
		if !m.seen.Router.At.Before(a.Hold.At.Add(limit)) {
			m.fail(plural(open, "request", "requests")+" did not end within "+limit.String()+" of the hold", nil)
			return false
		}
		m.poll(pollHeld)
		return false
	}
	return true
}

// ordered says that the router has an entry with the hold of the attempt; it
// may not be confirmed yet.
func (m *machine) ordered(e plans.Entry) bool {
	h := m.seen.Route.Entry.Hold
	return h != nil && h.ID == m.rec.Attempt.Hold.ID && m.routeIs(e, true)
}

// stopWriters proves that what must not write any more has stopped: services
// of the routed slot only first, then the rest against the order they start in.
func (m *machine) stopWriters(parts []part) bool {
	a := m.rec.Attempt
	writers := m.writers(parts)
	all := true
	for _, p := range writers {
		i := m.instance(p)
		if i == nil || i.Phase == observed.Exited && !i.Restarting {
			continue
		}
		if all && !a.Stopped && !m.wayBackProved() {
			m.poll(pollHeld)
			return false
		}
		all = false
		// It must stay down: a restarting engine would bring the writer back.
		a.Stopped = true
		m.stop(Quiesce, p, "no write may happen while the data change hands")
	}
	if all {
		a.Stopped = true
		return true
	}
	m.poll(pollHeld)
	return false
}

// wayBackProved says that images and specs of what runs are still here, by the
// table of this very attempt. Lines that are missing are made again: a restart
// of ours forgets the table, and that is nobody's fault.
func (m *machine) wayBackProved() bool {
	a := m.rec.Attempt
	orders := m.wayBackChecks()
	missing, bad := m.unchecked(orders, a.New.Generation)
	switch {
	case bad != nil:
		m.fail("the way back is not there: "+bad.ID, bad.Problem)
		return false
	case missing:
		m.act(Quiesce, "way-back", Action{Verb: Check, Generation: a.New.Generation, Checks: orders,
			Why: "the way back is proved before anything stops"})
		return false
	}
	return true
}

// writers are the services to stop, in the order they stop.
func (m *machine) writers(parts []part) []part {
	var first, rest []part
	for _, p := range slices.Backward(parts) {
		switch {
		case p.svc.Job != nil:
		case p.svc.WhenRouted():
			first = append(first, p)
		case m.recreates() || m.writes(p):
			rest = append(rest, p)
		}
	}
	return append(first, rest...)
}

// writes says that a service can write to a volume that is cloned quiesced.
func (m *machine) writes(p part) bool {
	for _, mount := range plans.Sorted(p.svc.Mounts) {
		v := m.want.Volumes[mount.Volume]
		if !mount.ReadOnly && v.OnUpgrade == plans.Clone && v.Writes == plans.Quiesce {
			return true
		}
	}
	return false
}

// snapshots proves one snapshot of this attempt for every volume that is cloned,
// taken in one act by each driver that keeps some of them.
func (m *machine) snapshots() bool {
	a := m.rec.Attempt
	if m.stirs() {
		return false
	}
	var volumes []string
	missing := map[string][]string{}
	for name, v := range plans.Sorted(m.want.Volumes) {
		d, had := m.rec.Data[name]
		if !had || a.Restore[name] != "" || v.OnUpgrade != plans.Clone && v.OnUpgrade != plans.Snapshot {
			continue
		}
		volumes = append(volumes, name)
		if s := m.datasetOf(name, m.mark(), observed.Origin); s == nil || !s.Ready {
			missing[d.Driver] = nil
		}
	}
	if len(missing) == 0 {
		return m.thaw()
	}
	if m.waiting() {
		m.thaw() // the pause can be long, and the service cannot wait
		m.wakeAt(m.rec.Trouble.Next)
		return false
	}
	if !m.freeze(volumes) {
		return false
	}
	for _, name := range volumes {
		d := m.rec.Data[name]
		if _, here := missing[d.Driver]; here {
			missing[d.Driver] = append(missing[d.Driver], d.Dataset)
		}
	}
	for driver, sets := range plans.Sorted(missing) {
		subject := "final"
		if len(missing) > 1 {
			subject += "/" + driver
		}
		m.act(Quiesce, subject, Action{Verb: Snapshot, Datasets: sets,
			Volume: &VolumeOrder{Attempt: m.mark(), Generation: a.New.Generation, Role: observed.Origin, Volume: plans.Volume{Driver: driver}},
			Why:    "the snapshot the new version starts from, and the way back to these data"})
	}
	return false
}

// mark names what the attempt makes: instances, snapshots, clones. A rehearsal's
// never count for the real thing.
func (m *machine) mark() string {
	a := m.rec.Attempt
	if a.Rehearsing {
		return a.ID + "r"
	}
	return a.ID
}
