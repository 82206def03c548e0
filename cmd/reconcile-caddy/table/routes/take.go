package routes

import (
	"context"

	"github.com/gitops-fleet/reconcile/plans"
)

// Request is what the table wants to know of a request.
type Request struct {
	Host string // as Host returns it
	Path string // as Path returns it
	// Write says that it may change something: its method is not safe
	// (RFC 9110 §9.2.1), or it opens a stream on which anything can be sent.
	Write bool
	// Marked requests bypass holds and are not counted as answers.
	Marked bool
}

// Take leads a request to its slot, and waits while the tenant is held. The
// caller must Land the flight. An error is ErrUnknown, ErrNoSlot, ErrFull,
// ErrLost, or the end of ctx while waiting.
func (t *Table) Take(ctx context.Context, r Request) (*Flight, error) {
	for {
		tenant := t.hosts.find(r.Host, r.Path)
		if tenant == nil {
			if t.damaged.Load() != nil {
				return nil, ErrLost
			}
			return nil, ErrUnknown
		}
		f, released, err := tenant.take(ctx, r)
		switch {
		case err != nil:
			return f, err
		case f != nil:
			if r.Write {
				f.books.noteFirst(f, t)
			}
			return f, nil
		case released == nil:
			continue // the entry changed between finding and taking it
		}
		select {
		case <-released:
			tenant.leave()
		case <-ctx.Done():
			tenant.leave()
			return nil, context.Cause(ctx)
		}
	}
}

// take returns a counted flight, or what to wait for, or neither: look again.
// With ErrNoSlot it returns a flight that holds the revision and nothing else.
func (t *Tenant) take(ctx context.Context, r Request) (*Flight, <-chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return nil, nil, nil
	}
	route := t.routeLocked(r.Host, r.Path)
	if route == nil {
		return nil, nil, nil
	}
	if t.hold.on() && !r.Marked {
		if t.hold.waiting >= t.hold.queue {
			return nil, nil, ErrFull
		}
		t.hold.waiting++
		return nil, t.hold.released, nil
	}
	slot := t.entry.Slot
	address := route.Address[slot]
	if address == "" {
		slot, address = plans.Shared, route.Address[plans.Shared]
	}
	if t.entry.Slot == plans.NoSlot || address == "" {
		return &Flight{Revision: t.revision}, nil, ErrNoSlot
	}
	books := t.usageLocked(slot)
	f := &Flight{
		Slot: slot, Address: address, Active: t.entry.Slot, Revision: t.revision,
		tenant: t, books: books, epoch: books.epoch, quiet: r.Marked,
	}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	books.open[f] = struct{}{}
	if r.Write {
		books.writes++
	}
	return f, nil, nil
}

// leave ends a wait.
func (t *Tenant) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hold.waiting--
}

// cut ends the open requests of a slot and returns how many there were.
func (t *Tenant) cut(slot plans.Slot) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.slots[slot]
	if u == nil {
		return 0
	}
	n := 0
	for f := range u.open {
		if f.ctx.Err() == nil {
			f.cancel(ErrCut)
			n++
		}
	}
	u.cut += uint64(n)
	return n
}

// noteFirst makes the first write of a slot durable before it is sent, so that
// a restarted proxy never takes a slot that was written to for one that was not.
func (u *usage) noteFirst(f *Flight, t *Table) {
	f.tenant.mu.Lock()
	first := u.first
	f.tenant.mu.Unlock()
	first.Do(func() { t.keep(f.tenant) })
}
