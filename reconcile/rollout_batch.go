package reconcile

import (
	"cmp"

	"github.com/gitops-fleet/reconcile/plans"
)

// following is the number of the batch after one, when the member at place next
// is its first.
func (a *active) following(batch, next int) int {
	if batch == 0 && a.members[next].Canary {
		return CanaryBatch
	}
	return max(batch, 0) + 1
}

// fill takes members into a batch from place next on and returns the place after
// the last. take says whether a member is started with it: one that is passed
// over belongs to the batch and takes no room in it.
func (a *active) fill(number, next int, rules *plans.BatchPolicy, take func(*RolloutMember) bool) int {
	canary, size := number == CanaryBatch, rules.Size(len(a.members))
	taken := 0
	var first *RolloutMember
	for ; next < len(a.members); next++ {
		m := a.members[next]
		switch {
		case canary && !m.Canary && taken > 0:
			// Where all canaries are held or gone, the next that may move is the canary.
			return next
		case !canary && taken == size, !canary && first != nil && !sameRing(rules, first, m):
			return next
		}
		if take(m) {
			taken++
			if first == nil {
				first = m
			}
		}
	}
	return next
}

// passes returns the class of a member that could not be started now, and why;
// ClassPending if it could.
func (l *lane) passes(m *RolloutMember) (Class, string) {
	s := l.seat(m)
	switch {
	case s == nil:
		return ClassSkipped, "the plan wants something else of it since; it moves in a rollout of its own"
	case s.report.Done && s.report.Failed && !m.Retry && s.report.State != Held:
		return ClassSkipped, "it was given up, and its way back failed: it runs what the plan says"
	case s.report.Done && s.report.State != Degraded && s.report.State != Unknown:
		return ClassUpgraded, ""
	case s.report.State == Held:
		return ClassHeld, s.report.Why
	case s.report.Failed && !m.Retry && s.report.InMotion:
		return ClassSkipped, cmp.Or(s.report.FailedBy, s.report.Why) // it is on its way back for a moment only
	case s.report.Failed && !m.Retry, s.report.State == HeldBack && !s.report.Failed:
		return ClassSkipped, s.report.Why
	}
	return ClassPending, ""
}

// seat is the seat of a member that still has the target it was planned with.
func (l *lane) seat(m *RolloutMember) *seat {
	s := l.all.seats[m.Tenant]
	if s == nil || s.lane != l || s.target != m.Target {
		return nil
	}
	return s
}

// PlannedMember is a member and the batch it is in, or would be in as things are
// now, and what would become of it there.
type PlannedMember struct {
	RolloutMember
	// In is the batch it is in or would be in.
	In int
	// Would is the class it would get instead of being started, with Because;
	// ClassPending: it would be started.
	Would   Class
	Because string
}

// Foresee returns the members of a rollout in its order with the batches they
// would be in by the policy in force; nil for an unknown id.
func (r *Rollouts) Foresee(id string) []PlannedMember {
	l, a := r.find(id)
	if a == nil {
		return nil
	}
	out := make([]PlannedMember, len(a.members))
	for i, m := range a.members {
		out[i] = PlannedMember{RolloutMember: *m, In: m.Batch}
	}
	if a.Phase.Closed() {
		return out
	}
	for batch, next := a.Batch, a.next; next < len(a.members); {
		batch = a.following(batch, next)
		next = a.fill(batch, next, &l.rules, func(m *RolloutMember) bool {
			p := &out[m.Place]
			p.In = batch
			p.Would, p.Because = l.passes(m)
			return p.Would == ClassPending
		})
	}
	return out
}
