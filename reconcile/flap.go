package reconcile

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Starts is an instance as it was last seen, and when it was seen started.
type Starts struct {
	ID       string      `json:"id"`
	Restarts int         `json:"restarts,omitempty"`
	Started  time.Time   `json:"started,omitzero"` // by the engine's clock, compared only with itself
	Last     time.Time   `json:"last"`             // by ours: since when it runs as it does
	At       []time.Time `json:"at,omitempty"`     // starts within flapWindow, whoever caused them
}

// The flap limit: more starts than this of one instance of what is routed, and
// repair stops. The numbers are those other pull-based deployers settled on.
const (
	flapWindow = 5 * time.Minute
	flapStarts = 5
	// crashStarts of one instance between its start and its proof is a crash loop.
	crashStarts = 3
)

func startKey(k plans.Key) string { return string(k.Slot) + "/" + k.Service }

// starts are those of the instance last seen in a place; zero where none was.
func (m *machine) starts(k plans.Key) Starts {
	if s := m.rec.Starts[startKey(k)]; s != nil {
		return *s
	}
	return Starts{}
}

// countStarts notes every start that can be seen since the last look.
func (m *machine) countStarts() {
	if m.seen.Runtime.Blind() {
		return
	}
	next := map[string]*Starts{}
	for key, s := range plans.Sorted(m.rec.Starts) {
		s.At = slices.DeleteFunc(s.At, func(t time.Time) bool { return m.now.Sub(t) > flapWindow })
		if len(s.At) > 0 {
			next[key] = s
		}
	}
	for i := range m.seen.Instances {
		in := &m.seen.Instances[i]
		if in.Phase == observed.Starting {
			continue
		}
		key := startKey(in.Key)
		was, known := m.starts(in.Key), m.rec.Starts[key] != nil
		s := next[key]
		if s == nil {
			s = &Starts{}
			next[key] = s
		}
		n := 0
		switch {
		case !known || was.ID != in.ID:
			n = 1 + in.Restarts
		case in.Restarts > was.Restarts:
			n = in.Restarts - was.Restarts
		case !in.Started.IsZero() && !in.Started.Equal(was.Started):
			n = 1
		}
		s.ID, s.Restarts, s.Last, s.Started = in.ID, in.Restarts, was.Last, was.Started
		if !in.Started.IsZero() || was.ID != in.ID {
			s.Started = in.Started
		}
		if n > 0 {
			s.Last = m.now
			for range min(n, flapStarts+1) {
				s.At = append(s.At, m.now)
			}
		}
	}
	if len(next) == 0 {
		next = nil
	}
	m.rec.Starts = next
}

// startsSince counts the starts of an instance seen at or after t.
func (m *machine) startsSince(k plans.Key, t time.Time) int {
	n := 0
	for _, at := range m.starts(k).At {
		if !at.Before(t) {
			n++
		}
	}
	return n
}

// flaps says which part of the routed slot starts again and again.
func (m *machine) flaps(parts []part) (part, bool) {
	for _, p := range parts {
		if len(m.starts(p.key).At) > flapStarts {
			return p, true
		}
	}
	return part{}, false
}

// calm forgets the starts: a new target, a retry or a release begins anew.
func (m *machine) calm() {
	m.rec.Flapping = time.Time{}
	for _, s := range plans.Sorted(m.rec.Starts) {
		s.At = nil
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range plans.Sorted(m) {
		keys = append(keys, k)
	}
	return keys
}

// resting says that an instance that ended is given a moment before it is
// started again, longer each time.
func (m *machine) resting(p part) bool {
	s := m.starts(p.key)
	if len(s.At) == 0 {
		return false
	}
	next := s.Last.Add(pause(observed.Transient, len(s.At)))
	if !m.now.Before(next) {
		return false
	}
	m.wakeAt(next)
	return true
}
