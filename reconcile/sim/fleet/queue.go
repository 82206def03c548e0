package fleet

import (
	"container/heap"
	"time"
)

// queue holds when which tenant has something due, soonest first. An entry that
// is overtaken stays and means nothing.
type queue []due

type due struct {
	at time.Time
	t  *tenant
}

func (q queue) Len() int { return len(q) }
func (q queue) Less(a, b int) bool {
	if q[a].at.Equal(q[b].at) {
		return q[a].t.place < q[b].t.place
	}
	return q[a].at.Before(q[b].at)
}
func (q queue) Swap(a, b int) { q[a], q[b] = q[b], q[a] }

// Push is for package heap.
func (q *queue) Push(x any) { *q = append(*q, x.(due)) }

// Pop is for package heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// wake notes when a tenant has something due.
func (w *world) wake(t *tenant, at time.Time) {
	if !t.due.Equal(at) {
		t.due = at
		heap.Push(&w.queue, due{at, t})
	}
}

// next is when the next tenant has something due; zero: none has.
func (w *world) next() time.Time {
	for len(w.queue) > 0 {
		if e := w.queue[0]; e.t.due.Equal(e.at) {
			return e.at
		}
		heap.Pop(&w.queue)
	}
	return time.Time{}
}

// rouse has those step that have something due.
func (w *world) rouse() {
	for len(w.queue) > 0 && !w.queue[0].at.After(w.now) {
		e := heap.Pop(&w.queue).(due)
		if e.t.due.Equal(e.at) {
			e.t.due = time.Time{}
			w.touch(e.t)
		}
	}
}
