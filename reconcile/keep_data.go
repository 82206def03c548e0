package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// WayBackHold is the tag of our holds on snapshots a way back needs. Its prefix
// is that of all holds of ours.
const WayBackHold = "reconcile:way-back"

// holdData proves that exactly the snapshots a way back needs are held: by
// nobody's hand can they go meanwhile. It is called where no request waits.
func (m *machine) holdData(step Phase) bool {
	all, leads := true, m.leadsBack()
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if d.Role != observed.Origin {
			continue
		}
		switch held := slices.Contains(d.Holds, WayBackHold); {
		case (m.holdsBack(d) || leads[d.Volume] == d) == held, m.stuck(d):
		case held && m.rec.Attempt == nil:
			all = !m.letGo(step, d) && all
		case !held && d.Ready:
			all = false
			m.act(step, d.ID, Action{Verb: Retain, Dataset: d.ID, Tag: WayBackHold, Why: "the way back needs the snapshot"})
		}
	}
	return all
}

// leadsBack are the snapshots that lead back from what serves, by volume: the one
// its attempt took, or else the newest. Once what served before is retired they are
// all there is.
func (m *machine) leadsBack() map[string]*observed.Dataset {
	cur := m.rec.Current
	if cur == nil {
		return nil
	}
	last := map[string]*observed.Dataset{}
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if d.Role != observed.Origin || d.Created.IsZero() || strings.HasPrefix(d.Attempt, removalMark) {
			continue
		}
		was := last[d.Volume]
		if was == nil || later(cur.Attempt, was, d) {
			last[d.Volume] = d
		}
	}
	return last
}

// later says that of two snapshots the second leads back from what an attempt
// brought, rather than the first.
func later(attempt string, a, b *observed.Dataset) bool {
	if mine := b.Attempt == attempt; mine != (a.Attempt == attempt) {
		return mine
	}
	order := cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	return (order < 0) != (a.Attempt == attempt) // of its own the first
}

// holdsBack says that a way back needs the snapshot: that of the version that is
// kept, of the attempt under way, or that a person said to go back to.
func (m *machine) holdsBack(d *observed.Dataset) bool {
	if m.rec.Kept != nil && m.rec.Current != nil && d.Attempt == m.rec.Current.Attempt {
		return true
	}
	a := m.rec.Attempt
	if a == nil {
		return false
	}
	return d.Attempt == a.ID || a.Restore[d.Volume] != "" && d.Attempt == a.Restore[d.Volume]
}

// letGo ends our hold on a snapshot; it returns false where there is none.
func (m *machine) letGo(step Phase, d *observed.Dataset) bool {
	if !slices.Contains(d.Holds, WayBackHold) || m.stuck(d) {
		return false
	}
	m.act(step, d.ID, Action{Verb: Release, Dataset: d.ID, Tag: WayBackHold, Why: "no way back needs the snapshot any more"})
	return true
}
