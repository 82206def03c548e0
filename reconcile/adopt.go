package reconcile

import (
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// adopt rebuilds the memory of what serves from what is seen, where the journal
// knows nothing and the host does: an emptied or lost journal.
func (m *machine) adopt() {
	tombstone := m.in.Want != nil && m.in.Want.Removed
	if m.rec.Current != nil || m.rec.Attempt != nil || m.rec.Removal != nil || tombstone {
		return
	}
	if m.rec.Attempts > 0 {
		return // what an attempt of ours left when it was undone or given up is nothing that serves
	}
	slot := m.routed()
	if slot == plans.NoSlot {
		slot = m.onlySlot()
	}
	if slot != plans.Blue && slot != plans.Green {
		return
	}
	v := m.versionIn(slot)
	if v == nil {
		return
	}
	v.Baked, v.Settled, v.Wrote = true, true, true
	m.rec.Current = v
	for _, i := range m.inSlot(plans.Shared) {
		if m.rec.Shared == nil {
			m.rec.Shared = map[string]string{}
		}
		m.rec.Shared[i.Service] = i.Digest
	}
	if m.seen.Route.Entry.Tenant != "" {
		m.rec.Entry = cloneEntry(m.seen.Route.Entry)
		m.rec.Entry.Hold = nil
		v.Entry = cloneEntry(m.rec.Entry)
	}
	m.adoptData(v)
	m.keepDataOf(v)
	if kept := m.versionIn(slot.Other()); kept != nil {
		// Whether it ever passed a bake is not known: it stays for a person to
		// look at, and is no way back by itself.
		m.adoptData(kept)
		m.rec.Kept, m.rec.KeptUntil = kept, m.now.Add(plans.DefaultSoak.Std())
	}
	if m.want != nil && m.target.Core == v.Generation {
		v.Target = m.target
	} else {
		v.Target = plans.Target{Core: v.Generation}
	}
	m.rec.Target = v.Target
	m.event(TenantAdopted, m.in.Name+" was found running "+short(v.Generation)+" in "+string(slot)+"; the journal did not know it",
		"slot", string(slot), "generation", v.Generation)
}

// onlySlot is the one slot with running instances, where no route says which.
func (m *machine) onlySlot() plans.Slot {
	blue, green := m.runsAnything(plans.Blue), m.runsAnything(plans.Green)
	switch {
	case blue && !green:
		return plans.Blue
	case green && !blue:
		return plans.Green
	}
	return plans.NoSlot
}

func (m *machine) runsAnything(slot plans.Slot) bool {
	for _, i := range m.inSlot(slot) {
		if !i.Job && i.Generation != "" && i.Phase == observed.Running {
			return true
		}
	}
	return false
}

// adoptData finds the live data of a slot.
func (m *machine) adoptData(v *Version) {
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if d.Role != observed.Live || d.Slot != v.Slot && d.Slot != plans.Shared {
			continue
		}
		if v.Data == nil {
			v.Data = map[string]string{}
		}
		v.Data[d.Volume] = d.ID
	}
}

// versionIn rebuilds a version from the instances of a slot; nil if there is
// none.
func (m *machine) versionIn(slot plans.Slot) *Version {
	v := &Version{Slot: slot, Since: m.now}
	for _, i := range m.inSlot(slot) {
		switch {
		case i.Generation != "":
			v.Generation, v.Attempt = i.Generation, i.Attempt
		case !i.Job:
			if v.Sidecars == nil {
				v.Sidecars = map[string]string{}
			}
			v.Sidecars[i.Service] = i.Digest
		}
	}
	if v.Generation == "" {
		return nil
	}
	return v
}
