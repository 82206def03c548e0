package reconcile

import (
	"cmp"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// blocked says that the plan asks for what cannot be done here as it stands;
// nothing is started for it, and what runs goes on.
func (m *machine) blocked() bool {
	why, next := m.blockedBy()
	if why == "" {
		return m.takesBack()
	}
	m.say(HeldBack, Blocked, why, next)
	return true
}

func (m *machine) blockedBy() (why, next string) {
	w := m.want
	for name, d := range plans.Sorted(m.rec.Data) {
		v, ok := w.Volumes[name]
		if !ok {
			continue
		}
		driver, was := cmp.Or(v.Driver, "dir"), cmp.Or(d.Driver, "dir")
		if driver != was {
			return "volume " + name + " has its data with driver " + was + "; the plan now says " + driver +
				", and data are not moved between drivers yet", "put the driver back to " + was
		}
		if v.Source != d.Source {
			return "volume " + name + " has its data below " + quoted(d.Source) + "; the plan now says " + quoted(v.Source) +
				", and data are not moved yet", "put the source back"
		}
	}
	if m.rec.Current == nil && w.Formerly != "" {
		return "it was formerly " + w.Formerly + ", and a tenant is not renamed with its data yet",
			"keep the name " + w.Formerly + ", or take metadata.formerly out to begin anew"
	}
	if w.Node != "" && m.env.Node != "" && w.Node != m.env.Node {
		return "the plan puts it on node " + w.Node + " and it is on " + m.env.Node + "; a tenant is not moved with its data yet",
			"put the node back to " + m.env.Node
	}
	cur := m.rec.Current
	if runtime := cmp.Or(w.Runtime, m.env.Runtime); cur != nil && cur.Runtime != "" && runtime != cur.Runtime {
		return "its services run in " + cur.Runtime + "; the plan now says " + runtime +
			", and a tenant is not moved between runtimes yet", "put the runtime back to " + cur.Runtime
	}
	if cur != nil && m.target.Active == cur.Slot && m.target.Core != cur.Generation {
		return "activeSlot names " + string(cur.Slot) + ", which serves " + short(cur.Generation) +
				": a slot that serves is not changed in place", "put the new version under slots." + string(cur.Slot.Other()) +
				" and flip activeSlot, or say activeSlot: auto"
	}
	if len(m.seen.Foreign) > 0 && (cur == nil || m.rec.Target != m.target) {
		return "an object that is not ours bears a name it needs: " + m.seen.Foreign[0], "remove or rename " + m.seen.Foreign[0]
	}
	if why := m.unfrozen(); why != "" && m.coreMoves() && cur != nil {
		return why, "say writes: quiesce, add a freeze hook, or use a driver whose snapshots are of one moment"
	}
	return "", ""
}

// unfrozen says that data would be copied while they are written.
func (m *machine) unfrozen() string {
	for name, v := range plans.Sorted(m.want.Volumes) {
		copies := v.OnUpgrade == plans.Snapshot && !recreates(m.want) || v.OnUpgrade == plans.Clone && (v.Writes != plans.Quiesce || v.Rehearse)
		if copies && v.Freeze == nil && !m.env.PointInTime(cmp.Or(v.Driver, "dir")) {
			return "volume " + name + " would be copied while it is written: driver " + cmp.Or(v.Driver, "dir") + " has no snapshot of one moment"
		}
	}
	return ""
}

// takesBack makes data live again that a removal gave up, when its tombstone is
// taken back within the grace. It returns whether that is still under way.
func (m *machine) takesBack() bool {
	if m.rec.Current != nil {
		return false
	}
	for name, data := range plans.Sorted(m.rec.Data) {
		d := m.dataset(data.Dataset)
		if d == nil {
			if m.ask("data", "volume "+name+" of "+m.in.Name+" had its data in "+data.Dataset+", which is not there any more",
				map[string]string{"wait": "keep looking for it", "empty": "go on with a new, empty volume"}, name, data.Dataset) != "empty" {
				m.say(HeldBack, Blocked, "the data of volume "+name+" ("+data.Dataset+") are not there any more", "waits for the answer to the question")
				return true
			}
			delete(m.rec.Data, name)
			continue
		}
		if d.Role == observed.Discarded {
			m.act(Prepare, d.ID, Action{Verb: SetRole, Dataset: d.ID, Role: observed.Live, Slot: d.Slot,
				Why: "the tenant is back within the grace of its data"})
			m.say(Progressing, "", "its data are taken over again", "")
			return true
		}
	}
	return false
}

func quoted(s string) string { return "\"" + s + "\"" }
