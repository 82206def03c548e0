package agent

import (
	"container/heap"
	"time"
)

// wakeAt sets when m steps again by itself.
func (e *Engine) wakeAt(m *member, at time.Time) {
	m.wake = at
	switch {
	case at.IsZero() && m.index >= 0:
		heap.Remove(&e.wakes, m.index)
	case at.IsZero():
	case m.index >= 0:
		heap.Fix(&e.wakes, m.index)
	default:
		heap.Push(&e.wakes, m)
	}
}

// Due marks the tenants whose time has come: they are looked at, then stepped.
func (e *Engine) Due(now time.Time) {
	for len(e.wakes) > 0 && !e.wakes[0].wake.After(now) {
		m := heap.Pop(&e.wakes).(*member)
		m.wake = time.Time{}
		e.touch(m)
	}
}

// Next returns when a tenant or a rollout is due by itself; zero: none is.
func (e *Engine) Next() time.Time {
	next := e.rollout.runs.Next()
	if len(e.wakes) > 0 && (next.IsZero() || e.wakes[0].wake.Before(next)) {
		return e.wakes[0].wake
	}
	return next
}

// wakeHeap orders members by their wake.
type wakeHeap []*member

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].wake.Before(h[j].wake) }
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *wakeHeap) Push(x any) {
	m := x.(*member)
	m.index = len(*h)
	*h = append(*h, m)
}
func (h *wakeHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	m.index = -1
	return m
}
