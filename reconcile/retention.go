package reconcile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// removalMark begins the attempt of a removed tenant's last snapshots.
const removalMark = "removal-"

// leaving is one dataset that nothing uses and only its retention keeps.
type leaving struct {
	set *observed.Dataset
	// since is when it was given up, or the snapshot was taken.
	since time.Time
	// until is when its retention is over; zero: not as long as things stand.
	until time.Time
	why   string
}

// retention is what the plan says of it, or said last.
func (m *machine) retention() plans.Retention { return m.rec.Retention.Effective() }

// leavings lists what only retention keeps: the datasets given up, then the
// snapshots, each oldest first. It is drawn from what is seen, and from the
// memory of when a dataset was given up.
func (m *machine) leavings() []leaving {
	r := m.retention()
	var gone, before, final []leaving
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		switch since, given := m.rec.Discards[d.ID]; {
		case d.Role == observed.Discarded && given && !m.inUse(d.ID, nil):
			gone = append(gone, leaving{set: d, since: since, why: "given up"})
		case d.Role != observed.Origin || d.Created.IsZero():
		case strings.HasPrefix(d.Attempt, removalMark):
			final = append(final, leaving{set: d, since: d.Created, why: "taken before a removal"})
		default:
			before = append(before, leaving{set: d, since: d.Created, why: "taken before a change"})
		}
	}
	keep(gone, r.Discarded)
	keep(before, r.PreUpgrade)
	keep(final, r.Final)
	m.keepWayBack(before)
	m.keepAsked(before)
	m.keepAsked(final)
	return slices.Concat(gone, before, final)
}

// keep sorts a list by age and says until when the rule keeps each: of age and
// count the longer wins. Count is by volume, and of what is there.
func keep(list []leaving, rule plans.Keep) {
	slices.SortFunc(list, func(a, b leaving) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.set.ID, b.set.ID))
	})
	newer := map[string]int{}
	for i := range slices.Backward(list) {
		l := &list[i]
		if newer[l.set.Volume]++; newer[l.set.Volume] <= rule.Count {
			l.why += ", and one of the newest " + itoa(rule.Count)
			continue
		}
		l.until = l.since.Add(rule.For.Std())
	}
}

// keepWayBack keeps the snapshots that lead back from what serves for as long as
// it does.
func (m *machine) keepWayBack(list []leaving) {
	leads := m.leadsBack()
	for i := range list {
		if l := &list[i]; leads[l.set.Volume] == l.set {
			l.until, l.why = time.Time{}, "leads back from "+short(m.rec.Current.Generation)+", which serves"
		}
	}
}

// keepAsked keeps the snapshots that a person asked to go back to, until that is
// answered.
func (m *machine) keepAsked(list []leaving) {
	for i := range list {
		if l := &list[i]; m.rec.Restore != nil && l.set.Attempt == m.rec.Restore.Mark {
			l.until, l.why = time.Time{}, "a person asked to go back to it"
		}
	}
}

// sweep destroys what was given up and is past its retention, and snapshots
// that are older than theirs.
func (m *machine) sweep() {
	if m.env.Empty || m.env.OtherController != "" || m.rec.Attempt != nil || m.needsStorage() && m.seen.Storage.Blind() {
		return
	}
	m.endDoomed(Retire)
	for _, id := range sortedKeys(m.rec.Discards) {
		if d := m.dataset(id); d == nil || d.Role != observed.Discarded || m.inUse(id, nil) {
			delete(m.rec.Discards, id)
		}
	}
	m.strays()
	for _, l := range m.leavings() {
		switch d := l.set; {
		case l.until.IsZero(), m.neededBy(d) != "":
		case m.now.Before(l.until):
			m.wakeAt(l.until)
		default:
			m.destroy(Retire, d, "its retention is over")
		}
	}
}

// neededBy says what keeps a dataset from being destroyed, as it is seen.
func (m *machine) neededBy(d *observed.Dataset) string {
	switch {
	case d.Busy:
		return "something has it mounted"
	case len(d.Holds) > 0:
		return "held by " + strings.Join(d.Holds, ", ")
	case len(d.Clones) > 0:
		return "the origin of " + strings.Join(d.Clones, ", ")
	}
	for i := range m.seen.Datasets {
		switch o := &m.seen.Datasets[i]; {
		case o.Origin != d.ID:
		case d.Role != observed.Origin && o.Role == observed.Origin:
			return "snapshot " + o.ID + " is taken of it"
		default:
			return "the origin of " + o.ID
		}
	}
	return ""
}

// strays gives up datasets that no version uses and no attempt will come back
// for: made late, or by an attempt that a removal cut short.
func (m *machine) strays() {
	if m.rec.Current == nil {
		return
	}
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if m.inUse(d.ID, nil) || d.Busy {
			continue
		}
		switch d.Role {
		case observed.Rehearsal:
			m.destroy(Retire, d, "a rehearsal's copy is of no further use")
		case observed.Live:
			if d.Imported {
				continue // a person had it before, and nobody said to give it up
			}
			m.act(Retire, d.ID, Action{Verb: SetRole, Dataset: d.ID, Role: observed.Discarded, Slot: d.Slot,
				Why: "no version uses it"})
			m.discardNow(d.ID)
		case observed.Discarded:
			m.discard(d.ID)
		}
	}
}
