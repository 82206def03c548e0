package routes

import (
	"cmp"
	"time"
)

// DefaultQueue is how many requests a hold keeps waiting where its order does
// not say (plans.Hold).
const DefaultQueue = 1000

// hold makes requests wait. The last one is remembered after its release, so
// that the same id never gets a second limit.
type hold struct {
	id       string
	at       time.Time     // when id was first seen
	expired  bool          // its limit passed before it was released
	queue    int           // most requests waiting
	released chan struct{} // nil: nothing is held; closed on release
	deadline time.Time
	timer    *time.Timer
	waiting  int
}

// seenHold is the part of a hold that is kept on disk.
type seenHold struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	Expired bool      `json:"expired,omitempty"`
}

func (h *hold) on() bool { return h.released != nil }

func (h *hold) seen() *seenHold {
	if h.id == "" {
		return nil
	}
	return &seenHold{ID: h.id, At: h.at, Expired: h.expired}
}

// become follows a new state. The limit counts from when its id was first
// seen, by the wall clock over a restart, and is never longer than itself.
func (h *hold) become(s state, now time.Time, expire func(id string)) {
	if s.Hold != nil {
		h.expired = s.Hold.Expired || h.expired && h.id == s.Hold.ID
		h.id, h.at = s.Hold.ID, s.Hold.At
		if h.at.After(now) {
			h.at = now
		}
	}
	order := s.Entry.Hold
	if order == nil || h.expired {
		h.release()
		return
	}
	h.queue = cmp.Or(order.Queue, DefaultQueue)
	left := order.Limit.Std() - now.Sub(h.at)
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.released == nil {
		h.released = make(chan struct{})
	}
	left = max(left, 0)
	id := h.id
	h.deadline = now.Add(left)
	h.timer = time.AfterFunc(left, func() { expire(id) })
}

// release lets everybody go on.
func (h *hold) release() {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	if h.released != nil {
		close(h.released)
		h.released = nil
	}
}

// expireLocked releases the hold with this id because its limit has passed,
// and says whether it did. That is a change like any other and has a revision
// of its own: a switch that was decided under the hold does not go through
// after it, for the old slot may have been written to since.
func (t *Tenant) expireLocked(id string, revision func() uint64) bool {
	if t.gone || t.hold.id != id || !t.hold.on() || time.Now().Before(t.hold.deadline) {
		return false
	}
	t.hold.expired, t.revision = true, revision()
	t.hold.release()
	return true
}
