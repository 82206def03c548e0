package reconcile

import (
	"time"
)

// inWindow says that requests wait by our hold, or did when last seen. To which slot
// an ordered switch had them released at the limit is seen when the router is.
func (m *machine) inWindow() bool {
	a := m.rec.Attempt
	return a != nil && a.Hold != nil && (!a.Ordered || m.now.Before(a.Hold.end()))
}

// blindInWindow waits for sight only as long as requests may wait: then it
// undoes by what is known, and the data plane releases by itself if even that
// cannot be done.
func (m *machine) blindInWindow(b *blindness) {
	a := m.rec.Attempt
	m.say(Unknown, "", m.blindText(b)+" while requests wait", "is undone at "+stamp(a.Hold.undoAt()))
	m.report.Problem = cloneProblem(b.err)
	led := a.Ordered && !m.seen.Router.Blind() && m.routed() == a.New.Slot
	if a.Switched || led {
		// The routes lead to the new slot, which was proved: it is released to that.
		m.report.Next = "goes on when it is seen again; the requests are released to the new version at " + stamp(a.Hold.end())
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
	switch runtime, router := m.seen.Runtime.Blind(), m.seen.Router.Blind(); {
	case !runtime && !router:
		m.restore()
	case !runtime && ok && !a.Exclusive:
		m.revive(m.rec.Current, parts)
	}
	switch {
	case a.Hold == nil:
	case m.now.Before(a.Hold.end()):
		m.wakeAt(a.Hold.end())
	case !a.Ordered:
		a.Hold = nil // the data plane has released them by itself
	}
	m.poll(pollHealth)
}

// waitForSight does nothing: what is not seen is neither healthy nor failed.
// When that lasts, a person is asked.
func (m *machine) waitForSight(b *blindness) {
	m.say(Unknown, "", m.blindText(b), "goes on when it is seen again")
	m.report.Problem = cloneProblem(b.err)
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
