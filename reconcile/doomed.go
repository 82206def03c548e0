package reconcile

import (
	"slices"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// A dataset whose destruction was cut off, or refused half way, has lost data: it
// serves nobody any more, and no rule asks after it but these.

// setDoomedApart takes such datasets out of sight.
func (m *machine) setDoomedApart() {
	is := func(d observed.Dataset) bool { return d.Doomed }
	if !slices.ContainsFunc(m.seen.Datasets, is) {
		return
	}
	seen := *m.seen
	seen.Datasets = nil
	for _, d := range m.seen.Datasets {
		if is(d) {
			m.doomed = append(m.doomed, d)
		} else {
			seen.Datasets = append(seen.Datasets, d)
		}
	}
	m.seen = &seen
}

// endDoomed ends what was begun; no retention is waited for.
func (m *machine) endDoomed(step Phase) {
	for i := range m.doomed {
		m.destroy(step, &m.doomed[i], "its destruction has begun and is not over")
	}
}

// isDoomed says that a dataset is there and is only to be destroyed.
func (m *machine) isDoomed(id string) bool {
	return slices.ContainsFunc(m.doomed, func(d observed.Dataset) bool { return d.ID == id })
}
