package routes

import (
	"context"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Flight is one request on its way to a slot, from the moment it takes its
// address until Land.
type Flight struct {
	Slot     plans.Slot // Shared for a service that all slots use
	Address  string
	Active   plans.Slot // the tenant's active slot
	Revision uint64

	tenant *Tenant
	books  *usage
	epoch  uint64
	ctx    context.Context
	cancel context.CancelCauseFunc
	quiet  bool
}

// Context ends when the request is cut, with ErrCut as its cause.
func (f *Flight) Context() context.Context { return f.ctx }

// Answered notes the status of the answer and the time it took. Marked
// requests are not counted: they are ours.
func (f *Flight) Answered(status int, took time.Duration) {
	if f.quiet {
		return
	}
	f.tenant.mu.Lock()
	defer f.tenant.mu.Unlock()
	if f.epoch != f.books.epoch {
		return
	}
	f.books.requests++
	f.books.spent += took
	if status >= 500 {
		f.books.errors++
	}
}

// Broken notes an answer that began and was not finished by the slot.
func (f *Flight) Broken() {
	f.tenant.mu.Lock()
	defer f.tenant.mu.Unlock()
	if f.epoch == f.books.epoch && !f.quiet {
		f.books.errors++
	}
}

// Land ends the flight: from here on a drain does not wait for it.
func (f *Flight) Land() {
	f.cancel(nil)
	f.tenant.mu.Lock()
	defer f.tenant.mu.Unlock()
	delete(f.books.open, f)
}

// usage is the books of one slot. Its tenant's lock guards it.
type usage struct {
	open     map[*Flight]struct{}
	epoch    uint64 // counts switches to the slot; a flight counts in its own only
	requests uint64
	writes   uint64
	errors   uint64
	cut      uint64
	spent    time.Duration
	first    *sync.Once // the first write of the epoch is noted on disk before it is sent
}

// reset begins a new epoch: the slot was just switched to.
func (u *usage) reset() {
	*u = usage{open: u.open, epoch: u.epoch + 1, first: new(sync.Once)}
}

func (u *usage) observe() observed.Usage {
	return observed.Usage{
		InFlight: len(u.open),
		Requests: u.requests,
		Writes:   u.writes,
		Errors:   u.errors,
		Cut:      u.cut,
		Millis:   uint64(u.spent.Milliseconds()),
	}
}
