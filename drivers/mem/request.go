package mem

import (
	"net"
	"slices"
	"strconv"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Request is one request of somebody to the host's router.
type Request struct {
	h      *Host
	method string
	host   string
	path   string
	id     uint64
	slot   plans.Slot
	port   int
	by     *instance
	route  *route
	ended  bool
	status int
}

// Send begins a request at the router. id names it in the data it writes, if
// its method is not safe; such a write is in the data from the moment the
// instance got it, as the worst case is for whoever switches.
func (h *Host) Send(method, host, path string, id uint64) *Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := &Request{h: h, method: method, host: host, path: path, id: id}
	t, _ := h.match(host, path)
	switch {
	case t == nil:
		q.end(404)
	case t.route.entry.Hold != nil && !t.route.expired:
		queue := t.route.entry.Hold.Queue
		if queue == 0 {
			queue = defaultQueue
		}
		if len(t.route.waiting) >= queue {
			q.end(503)
			break
		}
		t.route.waiting = append(t.route.waiting, q)
	default:
		h.forward(t.route, q)
	}
	return q
}

// defaultQueue is the most requests held where a hold says nothing (plans.Hold).
const defaultQueue = 1000

// forward gives a request to the instance of the routed slot.
func (h *Host) forward(r *route, q *Request) {
	slot, n := r.entry.Slot, best(r.entry.Routes, q.host, q.path)
	switch {
	case n < 0:
		q.end(404)
		return
	case slot == plans.NoSlot:
		q.end(503)
		return
	}
	use := r.use(slot)
	use.Requests++
	if !safe(q.method) {
		use.Writes++
	}
	i, port := h.at(r.entry.Routes[n].Address[slot])
	if i != nil {
		if _, atAll := h.well(i); !atAll {
			i = nil
		}
	}
	if i == nil {
		use.Errors++
		q.end(502)
		return
	}
	q.slot, q.by, q.route, q.port = slot, i, r, port
	use.InFlight++
	r.open = append(r.open, q)
	if !safe(q.method) {
		for _, d := range h.tenants[i.seen.Tenant].datasets {
			if d.seen.Path != "" && i.writes(d.seen.Path) {
				d.content = append(d.content, q.id)
				d.seen.Written++
			}
		}
	}
}

// Finish lets the instance answer an open request, and returns its status; 0
// is a request that was cut or waits still.
func (q *Request) Finish() int {
	q.h.mu.Lock()
	defer q.h.mu.Unlock()
	if q.route != nil {
		q.h.settle(q.by) // it may have died meanwhile
	}
	if t, _ := q.h.match(q.host, q.path); t != nil && !q.ended {
		q.h.settleRoute(t.route)
	}
	if q.route != nil && !q.ended {
		q.route.leave(q)
		if well, _ := q.h.well(q.by); well {
			q.end(200)
		} else {
			q.route.use(q.slot).Errors++
			q.end(500)
		}
	}
	return q.status
}

// Status says whether the request has ended, how, and which slot had it.
func (q *Request) Status() (ended bool, status int, slot plans.Slot) {
	q.h.mu.Lock()
	defer q.h.mu.Unlock()
	if t, _ := q.h.match(q.host, q.path); t != nil && !q.ended {
		q.h.settleRoute(t.route)
	}
	return q.ended, q.status, q.slot
}

// Port is the host port of the instance that got the request; 0: none yet.
func (q *Request) Port() int {
	q.h.mu.Lock()
	defer q.h.mu.Unlock()
	return q.port
}

func (q *Request) end(status int) { q.ended, q.status = true, status }

func (r *route) use(slot plans.Slot) *observed.Usage {
	if r.usage == nil {
		r.usage = map[plans.Slot]*observed.Usage{}
	}
	if r.usage[slot] == nil {
		r.usage[slot] = &observed.Usage{}
	}
	return r.usage[slot]
}

// leave takes an open request off the books.
func (r *route) leave(q *Request) {
	if n := slices.Index(r.open, q); n >= 0 {
		r.open = slices.Delete(r.open, n, n+1)
		r.use(q.slot).InFlight--
	}
}

// fail ends the open requests of an instance that is gone.
func (r *route) fail(i *instance) {
	for _, q := range slices.Clone(r.open) {
		if q.by == i {
			r.leave(q)
			r.use(q.slot).Errors++
			q.end(502)
		}
	}
}

// cut ends the open requests of a slot.
func (r *route) cut(slot plans.Slot) int {
	n := 0
	for _, q := range slices.Clone(r.open) {
		if q.slot == slot {
			r.leave(q)
			r.use(slot).Cut++
			q.end(0)
			n++
		}
	}
	return n
}

// at returns the running instance behind an address of the loopback interface,
// and its port.
func (h *Host) at(address string) (*instance, int) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, 0
	}
	i := h.ports[port]
	if i != nil {
		h.settle(i)
	}
	if i == nil || i.seen.Phase != observed.Running {
		return nil, 0
	}
	return i, port
}

// safe says whether a method is safe (RFC 9110 §9.2.1).
func safe(method string) bool {
	return slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, method)
}
