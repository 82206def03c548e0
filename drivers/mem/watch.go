package mem

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// watcher collects the tenants that moved until its Watch hands them out.
type watcher struct {
	mu    sync.Mutex
	moved map[string]bool
	news  chan struct{} // buffered 1: many changes, one wake
}

// changed tells every watcher that instances of the tenant may have moved.
func (h *Host) changed(tenant string) {
	for _, w := range h.watchers {
		w.mu.Lock()
		w.moved[tenant] = true
		w.mu.Unlock()
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// Watch implements drivers.Runtime. What happens by time alone is told when
// somebody looks, or calls Tick.
func (r *Runtime) Watch(ctx context.Context, changed func(tenant string)) error {
	w := &watcher{moved: map[string]bool{}, news: make(chan struct{}, 1)}
	r.h.mu.Lock()
	err := r.h.read(ctx, PartRuntime, "watch", "instances")
	if err == nil {
		r.h.watchers = append(r.h.watchers, w)
	}
	r.h.mu.Unlock()
	if err != nil {
		return err
	}
	defer func() {
		r.h.mu.Lock()
		defer r.h.mu.Unlock()
		r.h.watchers = slices.DeleteFunc(r.h.watchers, func(x *watcher) bool { return x == w })
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.news:
		}
		w.mu.Lock()
		moved := slices.Sorted(maps.Keys(w.moved))
		clear(w.moved)
		w.mu.Unlock()
		for _, tenant := range moved {
			changed(tenant)
		}
	}
}

// Tick lets everything happen that is due by now, so that watchers hear of it.
func (h *Host) Tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.named(nil) {
		t := h.tenants[name]
		for _, i := range t.instances {
			h.settle(i)
		}
		if t.route != nil {
			h.settleRoute(t.route)
		}
	}
}
