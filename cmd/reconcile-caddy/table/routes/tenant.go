package routes

import (
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Tenant is one tenant's entry and what happens there.
type Tenant struct {
	name string

	mu       sync.Mutex // guards what follows, for a few instructions each time
	entry    plans.Entry
	revision uint64
	gone     bool // deleted; whoever still holds the pointer looks again
	hold     hold
	slots    map[plans.Slot]*usage
}

func newTenant(name string) *Tenant {
	return &Tenant{name: name, slots: make(map[plans.Slot]*usage)}
}

// usageLocked returns the books of a slot.
func (t *Tenant) usageLocked(slot plans.Slot) *usage {
	u := t.slots[slot]
	if u == nil {
		u = &usage{open: make(map[*Flight]struct{}), first: new(sync.Once)}
		t.slots[slot] = u
	}
	return u
}

// state is all of a tenant that is kept on disk.
type state struct {
	Entry    plans.Entry `json:"entry"`
	Revision uint64      `json:"revision"`
	Hold     *seenHold   `json:"hold,omitempty"`
	// Written are the slots that were sent a write since they were switched to.
	Written []plans.Slot `json:"written,omitempty"`
}

// stateLocked returns what is to be kept.
func (t *Tenant) stateLocked() state {
	s := state{Entry: t.entry, Revision: t.revision, Hold: t.hold.seen()}
	for _, slot := range []plans.Slot{plans.Blue, plans.Green, plans.Shared} {
		if u := t.slots[slot]; u != nil && u.writes > 0 {
			s.Written = append(s.Written, slot)
		}
	}
	return s
}

// followsLocked returns the state after a change to entry.
func (t *Tenant) followsLocked(entry plans.Entry, revision uint64, now time.Time) state {
	s := t.stateLocked()
	if entry.Slot != s.Entry.Slot {
		var kept []plans.Slot
		for _, slot := range s.Written {
			if slot != entry.Slot {
				kept = append(kept, slot)
			}
		}
		s.Written = kept
	}
	s.Entry, s.Revision = entry, revision
	if h := entry.Hold; h != nil && (s.Hold == nil || s.Hold.ID != h.ID) {
		s.Hold = &seenHold{ID: h.ID, At: now}
	}
	return s
}

// becomeLocked puts s in force: the one moment in which everything changes.
func (t *Tenant) becomeLocked(s state, now time.Time, expire func(id string)) {
	if s.Entry.Slot != t.entry.Slot && s.Entry.Slot != plans.NoSlot {
		t.usageLocked(s.Entry.Slot).reset()
	}
	for _, slot := range s.Written {
		if u := t.usageLocked(slot); u.writes == 0 {
			u.writes = 1 // read from disk: some, nobody knows how many
			u.first.Do(func() {})
		}
	}
	t.entry, t.revision = s.Entry, s.Revision
	t.hold.become(s, now, expire)
}

// routeLocked returns the tenant's own route for host and path, or nil.
func (t *Tenant) routeLocked(host, path string) *plans.EntryRoute {
	var best *plans.EntryRoute
	for i := range t.entry.Routes {
		r := &t.entry.Routes[i]
		if r.Host == host && under(path, r.Path) && (best == nil || len(r.Path) > len(best.Path)) {
			best = r
		}
	}
	return best
}

// observe returns what there is to see.
func (t *Tenant) observe() observed.Route {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := observed.Route{
		Entry:    t.entry,
		Revision: t.revision,
		Held:     t.hold.on(),
		Expired:  t.entry.Hold != nil && t.hold.expired,
		Waiting:  t.hold.waiting,
	}
	for slot, u := range t.slots {
		if r.Slots == nil {
			r.Slots = make(map[plans.Slot]observed.Usage, len(t.slots))
		}
		r.Slots[slot] = u.observe()
	}
	return r
}

// movedLocked says at what revision the tenant is, to somebody who expected otherwise.
func (t *Tenant) movedLocked() *Moved {
	return &Moved{Tenant: t.name, Revision: t.revision, Expired: t.entry.Hold != nil && t.hold.expired}
}
