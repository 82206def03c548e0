package reconcile

import (
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// tune proves that live data have the quota and the like that the plan says now,
// also those a way back is kept on. It changes in place and needs no new version.
func (m *machine) tune() {
	if m.want == nil || m.unowned() || m.inWindow() {
		return
	}
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		v, tuned := m.tuning(d)
		if tuned || m.refusedTuning(d, v) {
			continue
		}
		m.act(Repair, d.ID, Action{Verb: Tune, Dataset: d.ID, Volume: &VolumeOrder{Name: d.Volume, Slot: d.Slot, Volume: v, Role: d.Role},
			Why: "the plan says " + tuningText(v) + " for volume " + d.Volume})
	}
}

// tuning returns the plan's volume of a dataset, and whether nothing of that is to
// be changed in place.
func (m *machine) tuning(d *observed.Dataset) (v plans.Volume, tuned bool) {
	if m.want == nil || d.Role != observed.Live || !d.Ready {
		return v, true
	}
	v, planned := m.want.Volumes[d.Volume]
	if !planned || v.Driver != "" && d.Driver != "" && v.Driver != d.Driver {
		return v, true // the next version moves it
	}
	return v, d.Tuning == v.Tuning()
}

// refusedTuning says that just this was refused for a dataset and its pause is on.
// What the plan says newly is tried at once.
func (m *machine) refusedTuning(d *observed.Dataset, v plans.Volume) bool {
	s, stuck := m.rec.Stuck[d.ID]
	return stuck && s.Verb == Tune && s.Want == v.Tuning() && m.stuck(d)
}

// untuned says what of the plan the data could not be given, "" if nothing.
func (m *machine) untuned() string {
	for id, s := range plans.Sorted(m.rec.Stuck) {
		if s.Verb == Tune {
			return ", but for " + id + ", which " + s.Text()
		}
	}
	return ""
}

// tuningText is what a plan asks of live data, for people.
func tuningText(v plans.Volume) string {
	if t := v.Tuning(); t != "" {
		return t
	}
	return "no quota and the like any more"
}
