package fleet

import (
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// checkRestored holds that a member that failed and is said to serve what it served
// before is there, in truth.
func (b *Books) checkRestored(l *log, m *reconcile.RolloutMember) {
	e := b.entry(m.Tenant)
	if m.Class != reconcile.ClassFailed || !m.Restored || m.Moves || e.report.Target != m.Target || !e.to.Zero() {
		return
	}
	if was, began := e.was[m.Target]; began && e.at != was {
		b.fail("sums", "%s failed in %s and is said to be back, and is at %v, it was at %v", m.Tenant, l.ID, e.at, was)
	}
	b.Reached["failed and back"]++
}

// leftOn says that a member runs what its rollout brought, or a part of it.
func leftOn(m *reconcile.RolloutMember) bool {
	return m.Class == reconcile.ClassUpgraded || m.Class == reconcile.ClassFailed && !m.Restored
}

// checkBack holds what is said of a rollout that was taken back: rolled back is one
// nobody of which runs what it brought, and who could not go back is what it is.
func (b *Books) checkBack(l *log) {
	if l.Phase != reconcile.RolloutRolledBack && l.Phase != reconcile.RolloutPartlyBack {
		return
	}
	left := slices.ContainsFunc(l.order, leftOn)
	if left != (l.Phase == reconcile.RolloutPartlyBack) {
		b.fail("sums", "%s is %s, and that members run what it brought is %v", l.ID, l.Phase, left)
	}
	for _, m := range l.order {
		e := b.entry(m.Tenant)
		if e.report.Target != m.Target || e.at != m.Target || !e.to.Zero() || e.want == nil || e.target != m.Target {
			continue
		}
		if m.Class == reconcile.ClassRolledBack || m.Class == reconcile.ClassFailed && m.Back && e.report.Done && e.report.State == reconcile.Converged {
			b.fail("sums", "%s is %s of %s, and runs what that brought, well", m.Tenant, m.Class, l.ID)
		}
	}
}

// checkOffer holds that a question offers no way back that nobody has, and names
// those who have none.
func (b *Books) checkOffer(l *log) {
	if l.Trip == nil || l.Trip.Question == nil {
		return
	}
	if !b.heardAll(l) {
		return // it is the question of an earlier life of ours
	}
	q := l.Trip.Question
	moved, stay := 0, 0
	for _, m := range l.order {
		e := b.entry(m.Tenant)
		unwell := m.Class == reconcile.ClassMoving && e.report.Done // there, and not well yet
		if !leftOn(m) && !unwell || e.want == nil || e.target != m.Target || e.report.Target != m.Target {
			continue
		}
		moved++
		if e.report.OneWay == "" {
			continue
		}
		if stay++; stay <= 2 && !strings.Contains(q.Text, m.Tenant) {
			b.fail("offer", "%s asks without a word of %s, which has no way back: %s", l.ID, m.Tenant, q.Text)
		}
	}
	if _, offered := q.Answers[reconcile.RollbackMoved]; offered && moved > 0 && stay == moved {
		b.fail("offer", "%s offers to take %d back, and none has a way", l.ID, moved)
	}
	b.Reached["offers"]++
	if stay > 0 {
		b.Reached["offers without a way"]++
	}
}
