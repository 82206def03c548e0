package dir

import (
	"os"
	"path/filepath"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// washedAway finds the dataset of a volatile volume whose mark is all that a
// reboot left: that of the order's own attempt, else the newest.
func washedAway(marks []mark, want drivers.VolumeOrder) (mark, bool) {
	var last *mark
	if !want.Volume.Volatile {
		return mark{}, false
	}
	for i := range marks {
		m := &marks[i]
		if m.Tenant != want.Tenant || m.Volume != want.Name || m.Slot != want.Slot || m.Role != observed.Live || m.Doomed || !m.Ready || m.there() {
			continue
		}
		if last == nil || m.Attempt == want.Attempt || last.Attempt != want.Attempt && m.Created.After(last.Created) {
			last = m
		}
	}
	if last == nil {
		return mark{}, false
	}
	return *last, true
}

// refill makes a dataset again in its old place, empty: an instance that was made
// with that place starts again as it is.
// Where that is a mount of its own, it must be mounted: made on the disk below it,
// what was to be in memory would fill that.
func (d *Driver) refill(m mark, want drivers.VolumeOrder) (observed.Dataset, error) {
	if away, err := m.away(); err != nil {
		return observed.Dataset{}, d.problem("find filesystem", m.ID, err)
	} else if away {
		return observed.Dataset{}, d.notMounted("create", m)
	}
	// 0711: as at the first time, for instances that run as another user.
	if err := os.MkdirAll(filepath.Dir(m.Path), 0o711); err != nil {
		return observed.Dataset{}, d.problem("create", m.ID, err)
	}
	m.Origin, m.Promoted = "", false // what it was cloned from is not in it any more
	return d.empty(m, want.Volume)
}
