package fleet

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Decided takes in what a decision wrote down, and holds it against the rules.
func (b *Books) Decided(now time.Time, d *reconcile.RolloutDelta, answers map[string]string) {
	before := map[string]*reconcile.Trip{}
	for _, l := range b.logs {
		before[l.ID] = l.Trip
		l.floored = l.floored || l.Trip != nil && l.Trip.Floor
	}
	for _, r := range d.Dropped {
		delete(b.logs, r.ID)
		delete(before, r.ID)
	}
	b.taken(d, answers)
	var fresh []*log
	var touched []string
	for i := range d.Rollouts {
		r := &d.Rollouts[i]
		l := b.logs[r.ID]
		if l == nil {
			l = &log{members: map[string]*reconcile.RolloutMember{}, begun: map[string]bool{}, failed: map[string]time.Time{}, labels: map[string]map[string]string{}, first: b.policies[r.Policy], rules: b.policies[r.Policy]}
			b.logs[r.ID] = l
			fresh = append(fresh, l)
			if b.ids[r.ID] {
				b.fail("id", "rollout %s begins, and another had this id", r.ID)
			}
			b.ids[r.ID] = true
		}
		if l.closed() && !r.Phase.Closed() && r.Phase != reconcile.RolloutRollingBack {
			b.fail("S3", "rollout %s was %s and is %s", r.ID, l.Phase, r.Phase)
		}
		l.Rollout = *r
		touched = append(touched, r.ID)
	}
	for i := range d.Members {
		m := d.Members[i].RolloutMember
		l := b.logs[d.Members[i].Rollout]
		if l == nil {
			b.fail("journal", "%s is a member of %s, which is not written down", m.Tenant, d.Members[i].Rollout)
			return
		}
		if l.members[m.Tenant] == nil {
			b.joins(l, &m)
		}
	}
	for _, l := range fresh {
		b.checkPlanned(l)
	}
	b.members(now, d)
	for _, id := range touched {
		l := b.logs[id]
		b.waits(now, l)
		b.checkOffer(l)
		b.checkBreaker(l, before[id])
		b.checkStopped(l, before[id], d, answers)
		if l.Phase.Closed() {
			b.checkClosed(l)
		}
	}
}

func (l *log) closed() bool { return l.Phase.Closed() }

// taken takes in which answers were carried out.
func (b *Books) taken(d *reconcile.RolloutDelta, answers map[string]string) {
	for _, q := range d.Taken {
		answer := answers[q]
		if answer == "" {
			b.fail("decision", "the answer to %s was carried out, and there is none", q)
			return
		}
		b.Reached["answer "+answer]++
		for _, l := range b.logs {
			if l.Trip == nil || l.Trip.Question == nil || l.Trip.Question.ID != q {
				continue
			}
			if answer == reconcile.RetryFailed {
				for _, m := range l.order {
					if e := b.tenants[m.Tenant]; m.Class == reconcile.ClassFailed && e != nil {
						delete(e.withheld, m.Target)
					}
				}
			}
		}
	}
}

// members takes in what became of members: first of those that were under way,
// then which batches begin, then who is told to move.
func (b *Books) members(now time.Time, d *reconcile.RolloutDelta) {
	var later []reconcile.ChangedMember
	for _, m := range d.Members {
		l := b.logs[m.Rollout]
		if old := l.members[m.Tenant]; m.Batch != old.Batch || old.Class == reconcile.ClassPending && m.Class == reconcile.ClassMoving {
			later = append(later, m)
			continue
		}
		b.member(now, l, m.RolloutMember)
	}
	for _, m := range later {
		l := b.logs[m.Rollout]
		if m.Batch != l.members[m.Tenant].Batch && m.Batch != l.batch {
			b.opened(now, l, m.Batch)
		}
		b.member(now, l, m.RolloutMember)
	}
}

// joins takes in that a rollout has a member.
func (b *Books) joins(l *log, m *reconcile.RolloutMember) {
	old := &reconcile.RolloutMember{Tenant: m.Tenant, Target: m.Target, From: m.From, Place: m.Place, Ring: m.Ring, Canary: m.Canary}
	l.members[m.Tenant] = old
	l.order = append(l.order, old)
}

// member takes in what became of a member.
func (b *Books) member(now time.Time, l *log, m reconcile.RolloutMember) {
	e := b.entry(m.Tenant)
	old := l.members[m.Tenant]
	was := old.Class
	*old = m
	b.checkRestored(l, &m)
	if was == m.Class {
		return
	}
	r := &e.report
	switch m.Class {
	case reconcile.ClassMoving:
		delete(l.failed, m.Tenant)
		if !m.Back && was == reconcile.ClassPending {
			b.told(now, l, old)
		}
	case reconcile.ClassUpgraded:
		if r.Target == m.Target && (!r.Done || e.at != m.Target) {
			b.fail("sums", "%s counts as upgraded to %s in %s, and is at %s (done %v)", m.Tenant, m.Target.Core, l.ID, e.at.Core, r.Done)
		}
		b.Reached["upgraded"]++
	case reconcile.ClassFailed:
		if r.Target == m.Target && !r.Failed && r.State != reconcile.Degraded && r.State != reconcile.HeldBack && !m.Back && m.Unwell.IsZero() {
			b.fail("sums", "%s counts as failed in %s, and says that it is %s", m.Tenant, l.ID, r.State)
		}
		l.failed[m.Tenant] = now
		b.Reached["failed"]++
	case reconcile.ClassRolledBack:
		if before, began := e.was[m.Target]; r.InMotion || e.at == m.Target || began && e.at != before || e.at != m.From {
			b.fail("sums", "%s counts as rolled back in %s, and is at %v, it was at %v (%v)", m.Tenant, l.ID, e.at, before, m.From)
		}
		b.Reached["rolled back"]++
	}
}

// checkPlanned holds what is known of a rollout before it begins: it is the only
// one of its tenants, and they are in the plan's order behind the canaries.
func (b *Books) checkPlanned(l *log) {
	b.Reached["planned"]++
	for _, other := range b.logs {
		if other != l && !other.Phase.Closed() && other.Policy == l.Policy && other.Template == l.Template && l.Template != "" {
			b.fail("S3", "rollout %s is planned while %s of the same tenants is open", l.ID, other.ID)
		}
	}
	slices.SortFunc(l.order, func(x, y *reconcile.RolloutMember) int { return x.Place - y.Place })
	if len(l.order) != l.Size {
		b.fail("sums", "rollout %s has %d members, says %d", l.ID, len(l.order), l.Size)
	}
	for _, m := range l.order {
		if e := b.tenants[m.Tenant]; e != nil && e.want != nil {
			l.labels[m.Tenant] = e.want.Labels
		}
	}
	canaries, last := true, [2]int{-1, -1}
	for _, m := range l.order {
		if m.Canary && !canaries {
			b.fail("S8", "%s is a canary of %s and comes after one that is none", m.Tenant, l.ID)
		}
		canaries = m.Canary
		rank, place := l.rank(m), b.entry(m.Tenant).place
		if m.Canary {
			continue
		}
		if rank < last[0] || rank == last[0] && place < last[1] {
			b.fail("S8", "%s comes too late in %s: the order is ring, then the plan's", m.Tenant, l.ID)
		}
		last = [2]int{rank, place}
	}
}

// rank is the place of a member's ring.
func (l *log) rank(m *reconcile.RolloutMember) int {
	if i := slices.Index(l.first.Rings, m.Ring); i >= 0 {
		return i
	}
	return len(l.first.Rings)
}

// checkBreaker works the breaker out from the members anew.
func (b *Books) checkBreaker(l *log, before *reconcile.Trip) {
	if l.Phase.Closed() || l.Phase == reconcile.RolloutRollingBack {
		return
	}
	if l.Trip == nil && !l.now() {
		return
	}
	run, longest := 0, 0
	for _, m := range l.order {
		switch {
		case m.Class == reconcile.ClassFailed && !m.Accepted:
			run++
		case m.Class == reconcile.ClassUpgraded:
			run = 0
		}
		longest = max(longest, run)
	}
	limit := l.rules.Failures()
	if l.Trip == nil && longest >= limit {
		b.fail("breaker", "%d in a row failed in %s and it goes on: %d stop it", longest, l.ID, limit)
	}
	if c, least := b.below(l); l.Trip == nil && !l.floored && c != nil && c.serving()-c[broken] < least {
		b.fail("floor", "%s goes on with %v, the policy wants %d healthy", l.ID, c, least)
	}
	if l.Trip == nil || before != nil {
		return
	}
	b.Reached["tripped"]++
	failed, finished, canaries := l.tried()
	ratio := l.rules.MaxFailureRatio
	if l.Trip.Floor {
		if c, least := b.below(l); c != nil && c.serving()-c[broken] >= least {
			b.fail("floor", "%s is stopped (%s) with %v, the policy wants %d healthy", l.ID, l.Trip.Why, c, least)
		}
		return
	}
	if canaries == 0 && longest < limit && (ratio == 0 || failed == 0 || float64(failed) < ratio*float64(finished)) {
		b.fail("breaker", "%s is stopped (%s) with %d in a row of %d and %d of %d failed", l.ID, l.Trip.Why, longest, limit, failed, finished)
	}
}

// below counts the tenants of a rollout with a floor, and how many of those that
// serve must be healthy; nil: it has none, or how many serve is not known yet.
func (b *Books) below(l *log) (crowd, int) {
	floor := b.floor(l)
	if floor == "" || l.Template == "" || !b.heardAll(l) {
		return nil, 0
	}
	c := b.crowd(l)
	return c, min(floorOf(string(floor), c.serving()), c.serving())
}

// heardAll says that every tenant of a rollout's change has spoken since we began.
func (b *Books) heardAll(l *log) bool {
	for _, e := range b.tenants {
		if e.want != nil && e.want.Policy == l.Policy && e.want.Template == l.Template && !e.heard {
			return false
		}
	}
	return true
}

// floor is the plan's as it is, like its windows.
func (b *Books) floor(l *log) plans.Floor { return b.policies[l.Policy].MinHealthy }

// checkStopped holds that nobody but a person, or the policy, has a rollout go on
// that was stopped.
func (b *Books) checkStopped(l *log, before *reconcile.Trip, d *reconcile.RolloutDelta, answers map[string]string) {
	if before == nil || l.Trip != nil {
		return
	}
	switch {
	case slices.ContainsFunc(d.Taken, func(q string) bool { return strings.HasPrefix(q, l.ID+".") }):
	case l.rules.OnTrip == plans.Rollback:
	case l.Phase == reconcile.RolloutSuperseded:
	case slices.ContainsFunc(l.order, func(m *reconcile.RolloutMember) bool { return b.lifted(m) }):
	default:
		b.fail("decision", "%s was stopped (%s) and is %s without an answer", l.ID, before.Why, l.Phase)
	}
}

// lifted says that a member that failed is no failure any more without an
// answer: a person lifted it, or the plan wants something else of it.
func (b *Books) lifted(m *reconcile.RolloutMember) bool {
	e := b.tenants[m.Tenant]
	return e == nil || e.want == nil || e.target != m.Target || e.lifted
}

// checkClosed holds the sums of a rollout that is over, and that what it leaves
// behind is given up.
func (b *Books) checkClosed(l *log) {
	b.Reached["closed "+string(l.Phase)]++
	var s reconcile.Summary
	for _, m := range l.order {
		switch m.Class {
		case reconcile.ClassUpgraded:
			s.Upgraded++
		case reconcile.ClassFailed:
			s.Failed++
		case reconcile.ClassRolledBack:
			s.RolledBack++
		case reconcile.ClassSkipped:
			s.Skipped++
		case reconcile.ClassHeld:
			s.Held++
		case reconcile.ClassUnknown:
			s.Unknown++
		default:
			b.fail("sums", "%s is closed, and its member %s is %q", l.ID, m.Tenant, m.Class)
		}
		e := b.entry(m.Tenant)
		left := m.Class == reconcile.ClassSkipped || m.Class == reconcile.ClassHeld
		if (l.Phase == reconcile.RolloutAborted || l.Phase == reconcile.RolloutRolledBack || l.Phase == reconcile.RolloutPartlyBack) && left && e.want != nil && e.target == m.Target && e.at != m.Target && e.to.Zero() {
			if !e.withheld[m.Target] {
				e.withheld[m.Target], e.owed = true, m.Target
			}
		}
	}
	b.checkBack(l)
	if s != l.Summary {
		b.fail("sums", "%s is closed with %+v, its members are %+v", l.ID, l.Summary, s)
	}
}
