package reconcile

import (
	"fmt"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// prepare proves that every volume of the new version is there: shared with the
// old one, fresh, or a clone whose origin is this attempt's snapshot.
func (m *machine) prepare() bool {
	a := m.rec.Attempt
	if m.want == nil || len(m.want.Volumes) == 0 || a.Kind == KindAside {
		return true
	}
	if a.Reused {
		return m.dataStill(a.New.Data)
	}
	if !m.snapshots() {
		return false
	}
	all := true
	for name, v := range plans.Sorted(m.want.Volumes) {
		id, ok := m.prepareVolume(name, v)
		if m.rec.Attempt.Back {
			return false
		}
		if !ok {
			all = false
			continue
		}
		if a.New.Data == nil {
			a.New.Data = map[string]string{}
		}
		a.New.Data[name] = id
	}
	if !all {
		m.poll(pollHealth)
	}
	return all
}

// prepareVolume returns the dataset the new version uses for a volume.
func (m *machine) prepareVolume(name string, v plans.Volume) (string, bool) {
	a := m.rec.Attempt
	current, had := m.rec.Data[name]
	mode := v.OnUpgrade
	if a.Kind == KindIdle && mode == plans.Clone && v.Writes == plans.Quiesce {
		// What is looked at beside the active slot is a rehearsal; the flip
		// clones again.
		return m.cloneOf(name, v, observed.Rehearsal)
	}
	switch {
	case a.Restore[name] != "":
		return m.restored(name, v)
	case !had:
		return m.created(name, v)
	case mode == plans.Fresh:
		return m.created(name, v)
	case mode == plans.Clone && a.Rehearsing:
		return m.cloneOf(name, v, observed.Rehearsal)
	case mode == plans.Clone:
		return m.cloneOf(name, v, observed.Live)
	}
	if m.dataset(current.Dataset) == nil {
		return "", false // asked about before the attempt began
	}
	return current.Dataset, true
}

// created proves an empty live dataset for the new version. One that is half made
// is ordered again: whoever made it is not at it any more.
func (m *machine) created(name string, v plans.Volume) (string, bool) {
	a := m.rec.Attempt
	slot := plans.Shared
	if v.OnUpgrade == plans.Clone || v.OnUpgrade == plans.Fresh {
		slot = a.New.Slot
	}
	if d := m.datasetOf(name, a.ID, observed.Live); d != nil && d.Ready {
		return d.ID, true
	}
	if v.OnUpgrade != plans.Fresh {
		// One that an undone attempt left, or made late, is what a driver
		// would find again.
		for i := range m.seen.Datasets {
			if d := &m.seen.Datasets[i]; d.Volume == name && d.Slot == slot && d.Role == observed.Live && d.Ready {
				return d.ID, true
			}
		}
	}
	m.act(Prepare, name, Action{Verb: Create, Slot: slot, Volume: &VolumeOrder{Name: name, Slot: slot, Volume: v,
		Attempt: a.ID, Generation: a.New.Generation, Role: observed.Live},
		Why: "the volume has no data for this version yet"})
	return "", false
}

// cloneOf proves a writable copy of the attempt's snapshot of a volume.
func (m *machine) cloneOf(name string, v plans.Volume, role observed.Role) (string, bool) {
	snap := m.datasetOf(name, m.mark(), observed.Origin)
	if snap == nil {
		return "", false
	}
	return m.cloneFrom(snap, name, v, role, m.rec.Attempt.New.Slot)
}

// restored proves a writable copy of the snapshot a person said to go back to.
func (m *machine) restored(name string, v plans.Volume) (string, bool) {
	a := m.rec.Attempt
	snap := m.restoreOf(name)
	if snap == nil {
		m.fail("the snapshot that "+a.Restore[name]+" took of volume "+name+" is not there any more", nil)
		return "", false
	}
	slot := plans.Shared
	if v.OnUpgrade == plans.Clone || v.OnUpgrade == plans.Fresh {
		slot = a.New.Slot
	}
	return m.cloneFrom(snap, name, v, observed.Live, slot)
}

// cloneFrom proves the attempt's clone of a snapshot; see created.
func (m *machine) cloneFrom(snap *observed.Dataset, name string, v plans.Volume, role observed.Role, slot plans.Slot) (string, bool) {
	mark := m.mark()
	if d := m.datasetOf(name, mark, role); d != nil && d.Origin == snap.ID && d.Ready {
		return d.ID, true
	}
	m.act(Prepare, name, Action{Verb: Clone, Slot: slot, Dataset: snap.ID, Volume: &VolumeOrder{Name: name,
		Slot: slot, Volume: v, Attempt: mark, Generation: m.rec.Attempt.New.Generation, Role: role},
		Why: "the new version gets its own copy of the data"})
	return "", false
}

// dataStill proves that the datasets of a version that ran before are there.
func (m *machine) dataStill(data map[string]string) bool {
	for name, id := range plans.Sorted(data) {
		if d := m.dataset(id); d == nil || !d.Ready {
			m.fail(fmt.Sprintf("the data of volume %s (%s) are not there any more", name, id), nil)
			return false
		}
	}
	return true
}
