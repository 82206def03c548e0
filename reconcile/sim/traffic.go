package sim

import (
	"context"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
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

// writePast writes what no router counts, to each app that runs: by a port of its own.
// It is answered at once.
func (w *world) writePast() {
	t := w.truth()
	for _, i := range t.Instances {
		if i.Service != "app" || i.Phase != observed.Running {
			continue
		}
		id, _ := w.books.dataOf(i.Slot)
		if d := w.dataset(id); d == nil || d.Role != observed.Live {
			continue
		}
		w.writes++
		w.host.Write(id, w.writes)
		w.books.wrotePast(w.writes, i.Slot)
	}
}

func (w *world) dataset(id string) *observed.Dataset {
	t := w.truth()
	n := slices.IndexFunc(t.Datasets, func(d observed.Dataset) bool { return d.ID == id })
	if n < 0 {
		return nil
	}
	return &t.Datasets[n]
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
