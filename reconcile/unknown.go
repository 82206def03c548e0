package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// inWindow says that requests wait by our hold, or did when last seen.
func (m *machine) inWindow() bool {
	a := m.rec.Attempt
	return a != nil && a.Hold != nil
}

// blindInWindow waits for sight only as long as requests may wait: then it
// undoes by what is known, and the data plane releases by itself if even that
// cannot be done.
func (m *machine) blindInWindow(b *blindness) {
	a := m.rec.Attempt
	m.say(Unknown, "", m.blindText(b)+" while requests wait", "is undone at "+stamp(a.Hold.undoAt()))
	if a.Switched {
		// The routes lead to the new slot, which was proved: release to it.
		m.poll(pollHeld)
		return
	}
	if m.now.Before(a.Hold.undoAt()) {
		m.wakeAt(a.Hold.undoAt())
		m.poll(pollHealth)
		return
	}
	m.turn(Failed, m.blindText(b)+" until requests could wait no longer", b.err)
	parts, ok := m.parts(m.rec.Current)
	late := !m.now.Add(time.Second).Before(a.Hold.end())
	switch runtime, router := m.seen.Runtime.Blind(), m.seen.Router.Blind(); {
	case !runtime && !router:
		m.restore()
	case !runtime && ok && !a.Exclusive:
		m.revive(m.rec.Current, parts)
	case !router && late && a.Hold != nil && !m.routeIs(m.rec.Entry, false):
		m.route(Switch, "back", m.rec.Entry, nil, "requests can wait no longer")
	}
	if a.Hold != nil && !m.now.Before(a.Hold.end()) {
		a.Hold = nil // the data plane has released them by itself
	}
	m.poll(pollHealth)
}

// waitForSight does nothing: what is not seen is neither healthy nor failed.
// When that lasts, a person is asked.
func (m *machine) waitForSight(b *blindness) {
	m.say(Unknown, "", m.blindText(b), "goes on when it is seen again")
	since := m.rec.Unknown
	if m.now.Sub(since) >= unknownDeadline {
		m.ask("unknown", b.part+" of "+m.in.Name+" has not been seen since "+stamp(since),
			map[string]string{"wait": "keep waiting for it"}, b.part, since.UTC().Format(time.RFC3339))
	} else {
		m.wakeAt(since.Add(unknownDeadline))
	}
	m.poll(pollBlind)
}

func (m *machine) blindText(b *blindness) string {
	if b.err == nil {
		return b.part + " has not been seen yet"
	}
	return b.part + " cannot be seen: " + sentence(*b.err)
}

// longOutage asks when the environment of an attempt stays down.
func (m *machine) longOutage() {
	a, t := m.rec.Attempt, m.outage()
	if a == nil || t == nil || a.Back || m.rec.Unknown.IsZero() {
		return
	}
	if due := m.rec.Unknown.Add(unknownDeadline); m.now.Before(due) {
		m.wakeAt(due)
		return
	}
	if m.ask("outage", m.subject()+" cannot go on since "+stamp(m.rec.Unknown)+": "+sentence(t.Problem),
		map[string]string{"wait": "keep trying", "abort": "undo the attempt and withhold its target"}, a.ID) == "abort" {
		m.turn(Aborted, "a person gave it up: "+sentence(t.Problem), &t.Problem)
	}
}

// adopt rebuilds the memory of what serves from what is seen, where the journal
// knows nothing and the host does: an emptied or lost journal.
func (m *machine) adopt() {
	if m.rec.Current != nil || m.rec.Attempt != nil || m.rec.Removal != nil || m.rec.Attempts > 0 {
		return // what an undone attempt left is nothing that serves
	}
	slot := m.routed()
	if slot == plans.NoSlot {
		slot = m.onlySlot()
	}
	if slot != plans.Blue && slot != plans.Green {
		return
	}
	v := &Version{Slot: slot, Baked: true, Settled: true, Wrote: true, Since: m.now}
	for _, i := range m.inSlot(slot) {
		if i.Generation != "" {
			v.Generation = i.Generation
			v.Attempt = i.Attempt
		} else if !i.Job {
			if v.Sidecars == nil {
				v.Sidecars = map[string]string{}
			}
			v.Sidecars[i.Service] = i.Digest
		}
	}
	if v.Generation == "" {
		return
	}
	m.rec.Current = v
	for _, i := range m.inSlot(plans.Shared) {
		if m.rec.Shared == nil {
			m.rec.Shared = map[string]string{}
		}
		m.rec.Shared[i.Service] = i.Digest
	}
	if m.seen.Route.Entry.Tenant != "" {
		m.rec.Entry = cloneEntry(m.seen.Route.Entry)
		m.rec.Entry.Hold = nil
		v.Entry = cloneEntry(m.rec.Entry)
	}
	m.adoptData(v)
	if m.want != nil && m.target.Core == v.Generation {
		v.Target = m.target
	} else {
		v.Target = plans.Target{Core: v.Generation}
	}
	m.rec.Target = v.Target
	m.event(TenantAdopted, m.in.Name+" was found running "+short(v.Generation)+" in "+string(slot)+"; the journal did not know it",
		"slot", string(slot), "generation", v.Generation)
}

// onlySlot is the one slot with running instances, where no route says which.
func (m *machine) onlySlot() plans.Slot {
	blue, green := m.runsAnything(plans.Blue), m.runsAnything(plans.Green)
	switch {
	case blue && !green:
		return plans.Blue
	case green && !blue:
		return plans.Green
	}
	return plans.NoSlot
}

func (m *machine) runsAnything(slot plans.Slot) bool {
	for _, i := range m.inSlot(slot) {
		if !i.Job && i.Generation != "" && i.Phase == "running" {
			return true
		}
	}
	return false
}

// adoptData finds the live data of a slot.
func (m *machine) adoptData(v *Version) {
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if d.Role != "live" || d.Slot != v.Slot && d.Slot != plans.Shared {
			continue
		}
		if v.Data == nil {
			v.Data = map[string]string{}
		}
		v.Data[d.Volume] = d.ID
	}
	m.keepDataOf(v)
}
