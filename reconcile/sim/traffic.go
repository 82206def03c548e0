package sim

import (
	"context"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
)

// bg is the context of calls that nothing cancels.
var bg = context.Background()

// request is one request of somebody to the tenant.
type request struct {
	q     *mem.Request
	id    uint64
	write bool
	until time.Time
}

// send begins a request that ends by and by.
func (w *world) send() {
	r := &request{write: w.rng.IntN(2) == 0, until: w.now.Add(w.within(4 * time.Second))}
	if w.rng.IntN(20) == 0 {
		r.until = w.now.Add(w.within(time.Minute))
	}
	method := "GET"
	if r.write {
		w.writes++
		method, r.id = "POST", w.writes
	}
	r.q = w.host.Send(method, "h0.test", "/", r.id)
	w.open = append(w.open, r)
}

// answerOpen ends the requests whose time has come.
func (w *world) answerOpen() {
	left := w.open[:0]
	for _, r := range w.open {
		ended, status, slot := r.q.Status()
		if !ended && slot != plans.NoSlot && !w.now.Before(r.until) {
			status = r.q.Finish()
			ended = true
		}
		if !ended {
			left = append(left, r)
			continue
		}
		w.books.served(r, status, slot)
	}
	w.open = left
}

// lose takes the answers of requests off the books that a restart ended.
func (w *world) lose() { w.answerOpen() }
