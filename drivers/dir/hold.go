package dir

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Hold implements drivers.Storage: the mark names who needs the snapshot.
func (d *Driver) Hold(_ context.Context, _ string, snapshot, tag string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.living(snapshot)
	if err != nil {
		return absent("hold", snapshot, err)
	}
	if m.Role != observed.Origin {
		return observed.Wrap("hold", snapshot, observed.Conflict, errors.New("it is no snapshot"), "")
	}
	n, held := slices.BinarySearch(m.Holds, tag)
	if held {
		return nil
	}
	m.Holds = slices.Insert(m.Holds, n, tag)
	return d.problem("hold", snapshot, d.write(m))
}

// Release implements drivers.Storage.
func (d *Driver) Release(_ context.Context, _ string, snapshot, tag string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.living(snapshot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return d.problem("release", snapshot, err)
	}
	n, held := slices.BinarySearch(m.Holds, tag)
	if !held {
		return nil
	}
	m.Holds = slices.Delete(m.Holds, n, n+1)
	return d.problem("release", snapshot, d.write(m))
}
