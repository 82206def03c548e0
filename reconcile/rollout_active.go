package reconcile

import (
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// active is a rollout with its members and what is counted of them.
type active struct {
	Rollout
	lane    *lane
	members []*RolloutMember // by place
	byName  map[string]*RolloutMember
	streaks *streaks // nil once the rollout is closed
	next    int      // the first place in no batch yet
	queue   []int    // places of the batch that are not started
	// unfinished have begun and not ended; unseen are those of them, and of those
	// of the batch under way that are done, that cannot be seen.
	unfinished int
	unseen     map[string]bool
	unwell     map[string]bool // reached their target and are not well
	failed     int             // failures the breaker counts
	canaries   int             // of those, in the canary stage
	tried      int             // finished ones
	back       string          // its BackID, once it was needed
	asked      bool            // the question is as the members are
	dirty      bool            // the header changed
	changed    map[int]bool    // members that changed
}

func newActive(l *lane, head Rollout, members []*RolloutMember) *active {
	a := &active{Rollout: head, lane: l, members: members, byName: make(map[string]*RolloutMember, len(members)),
		unseen: map[string]bool{}, unwell: map[string]bool{}, changed: map[int]bool{}}
	if !head.Phase.Closed() {
		a.streaks = newStreaks(len(members))
	}
	a.Summary = Summary{}
	a.next = len(members)
	for i, m := range members {
		a.byName[m.Tenant] = m
		a.count(m, 1)
		if m.Batch == 0 && i < a.next {
			a.next = i
		}
		if m.waits() {
			a.queue = append(a.queue, i)
		}
	}
	return a
}

func restoreRun(l *lane, head Rollout, members []RolloutMember) *active {
	list := make([]*RolloutMember, len(members))
	for i := range members {
		list[i] = &members[i]
	}
	slices.SortFunc(list, func(a, b *RolloutMember) int { return a.Place - b.Place })
	return newActive(l, head, list)
}

// emptied returns m without its keys. Clearing a map costs what it ever held,
// so that one that was large is left behind.
func emptied[K comparable](m map[K]bool) map[K]bool {
	if len(m) > 64 {
		return map[K]bool{}
	}
	clear(m)
	return m
}

// enqueue has members take their turn in the batch: in the order of the rollout,
// which is all that is known of it after a restart.
func (a *active) enqueue(places ...int) {
	a.queue = append(a.queue, places...)
	slices.Sort(a.queue)
}

// waits says that the member is in a batch and not started.
func (m *RolloutMember) waits() bool { return m.Class == ClassPending && m.Batch != 0 }

// busy says that the member was started and has not come to rest.
func (m *RolloutMember) busy() bool { return m.Class == ClassMoving || m.Moves }

func (m *RolloutMember) mark() mark {
	switch {
	case m.Class == ClassFailed && m.Accepted:
		return markNone
	case m.Class == ClassFailed:
		return markBad
	case m.Class == ClassUpgraded:
		return markGood
	case m.Class == ClassMoving:
		return markMaybe
	}
	return markNone
}

// count books a member, or takes it out of the books.
func (a *active) count(m *RolloutMember, by int) {
	a.Summary.count(m.Class, by)
	if m.busy() {
		a.unfinished += by
	}
	if m.Class.Finished() && !m.Accepted {
		a.tried += by
	}
	if m.Class == ClassFailed && !m.Accepted {
		a.failed += by
		if m.Batch == CanaryBatch {
			a.canaries += by
		}
	}
	if !m.Unwell.IsZero() && by > 0 {
		a.unwell[m.Tenant] = true
	} else {
		delete(a.unwell, m.Tenant)
	}
	if by > 0 && a.streaks != nil {
		a.streaks.set(m.Place, m.mark())
	}
}

// change changes a member and keeps the books.
func (a *active) change(m *RolloutMember, how func(*RolloutMember)) {
	before := *m
	a.count(m, -1)
	how(m)
	a.count(m, 1)
	if m.busy() != before.busy() {
		a.tells(m)
	}
	if *m != before {
		a.asked = false
		a.changed[m.Place] = true
		if before.Class != m.Class {
			a.dirty = true // the summary
		}
	}
}

// tells books with the seat of a member whether it was told to move.
func (a *active) tells(m *RolloutMember) {
	if s := a.lane.all.seats[m.Tenant]; s != nil && s.lane == a.lane {
		s.told = m.busy() && !a.Phase.Closed()
		s.weigh()
	}
}

// class gives a member another class.
func (a *active) class(m *RolloutMember, c Class, why string, now time.Time) {
	if m.Class != c {
		delete(a.unseen, m.Tenant)
	}
	a.change(m, func(m *RolloutMember) {
		if m.Class != c {
			if m.Class == ClassMoving && c == ClassUpgraded {
				m.Took = now.Sub(m.Since)
			}
			m.Class, m.Since = c, now
		}
		m.Why = why
		if c != ClassMoving && c != ClassUpgraded {
			m.Unwell = time.Time{}
		}
	})
}

// failures are the names of those the breaker counts, in the rollout's order.
func (a *active) failures() []string {
	var names []string
	for _, m := range a.members {
		if m.Class == ClassFailed && !m.Accepted {
			names = append(names, m.Tenant)
		}
	}
	return names
}

// copy returns the header, sharing nothing.
func (a *active) copy() Rollout {
	r := a.Rollout
	r.Rules = cloneRules(r.Rules)
	if t := copyOf(r.Trip); t != nil {
		t.Question = cloneQuestion(t.Question)
		r.Trip = t
	}
	r.Ask = cloneQuestion(r.Ask)
	return r
}

func cloneQuestion(q *Question) *Question {
	if q = copyOf(q); q != nil {
		q.Answers = maps.Clone(q.Answers)
	}
	return q
}

// cloneRules copies what a rollout remembers of a policy.
func cloneRules(p plans.BatchPolicy) plans.BatchPolicy {
	p.Windows, p.Freeze, p.TimeZone, p.Zone = nil, nil, "", nil
	if p.Canary != nil {
		c := *p.Canary
		c.Select = maps.Clone(c.Select)
		p.Canary = &c
	}
	p.Rings = slices.Clone(p.Rings)
	return p
}
