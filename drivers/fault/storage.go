package fault

import (
	"context"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

type storage struct {
	drivers.Storage
	f Faults
}

// Storage returns s with faults.
func Storage(s drivers.Storage, f Faults) drivers.Storage { return storage{s, f} }

func (s storage) Observe(ctx context.Context, tenants ...string) (seen []observed.Dataset, err error) {
	err = s.f.call(ctx, "storage.Observe", strings.Join(tenants, ","), func(ctx context.Context) (err error) {
		seen, err = s.Storage.Observe(ctx, tenants...)
		return err
	})
	return seen, err
}

// one carries out a call that answers with a dataset.
func (s storage) one(ctx context.Context, op Op, ref string, do func(context.Context) (observed.Dataset, error)) (observed.Dataset, error) {
	var made observed.Dataset
	err := s.f.call(ctx, op, ref, func(ctx context.Context) error {
		d, err := do(ctx)
		made = d
		return err
	})
	if err != nil {
		return observed.Dataset{}, err
	}
	return made, nil
}

func (s storage) Create(ctx context.Context, id string, want drivers.VolumeOrder) (observed.Dataset, error) {
	return s.one(ctx, "storage.Create", want.Tenant+"/"+want.Name, func(ctx context.Context) (observed.Dataset, error) {
		return s.Storage.Create(ctx, id, want)
	})
}

func (s storage) Clone(ctx context.Context, id string, snapshot string, want drivers.VolumeOrder, progress func(drivers.Progress)) (observed.Dataset, error) {
	return s.one(ctx, "storage.Clone", snapshot, func(ctx context.Context) (observed.Dataset, error) {
		return s.Storage.Clone(ctx, id, snapshot, want, progress)
	})
}

func (s storage) Snapshot(ctx context.Context, id string, attempt string, datasets []string, progress func(drivers.Progress)) ([]observed.Dataset, error) {
	var taken []observed.Dataset
	err := s.f.call(ctx, "storage.Snapshot", strings.Join(datasets, ","), func(ctx context.Context) error {
		all, err := s.Storage.Snapshot(ctx, id, attempt, datasets, progress)
		taken = all
		return err
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

func (s storage) SetRole(ctx context.Context, id string, dataset string, role observed.Role, slot plans.Slot) error {
	return s.f.call(ctx, "storage.SetRole", dataset, func(ctx context.Context) error {
		return s.Storage.SetRole(ctx, id, dataset, role, slot)
	})
}

func (s storage) Tune(ctx context.Context, id string, dataset string, v plans.Volume) error {
	return s.f.call(ctx, "storage.Tune", dataset, func(ctx context.Context) error {
		return s.Storage.Tune(ctx, id, dataset, v)
	})
}

func (s storage) Promote(ctx context.Context, id string, dataset string) error {
	return s.f.call(ctx, "storage.Promote", dataset, func(ctx context.Context) error {
		return s.Storage.Promote(ctx, id, dataset)
	})
}

func (s storage) Destroy(ctx context.Context, id string, dataset string) error {
	return s.f.call(ctx, "storage.Destroy", dataset, func(ctx context.Context) error {
		return s.Storage.Destroy(ctx, id, dataset)
	})
}

func (s storage) Written(ctx context.Context, dataset, snapshot string) (bytes int64, err error) {
	err = s.f.call(ctx, "storage.Written", dataset, func(ctx context.Context) (err error) {
		bytes, err = s.Storage.Written(ctx, dataset, snapshot)
		return err
	})
	return bytes, err
}

func (s storage) Hold(ctx context.Context, id string, snapshot, tag string) error {
	return s.f.call(ctx, "storage.Hold", snapshot, func(ctx context.Context) error {
		return s.Storage.Hold(ctx, id, snapshot, tag)
	})
}

func (s storage) Release(ctx context.Context, id string, snapshot, tag string) error {
	return s.f.call(ctx, "storage.Release", snapshot, func(ctx context.Context) error {
		return s.Storage.Release(ctx, id, snapshot, tag)
	})
}

func (s storage) Free(ctx context.Context, v plans.Volume) (free int64, err error) {
	err = s.f.call(ctx, "storage.Free", v.Source, func(ctx context.Context) (err error) {
		free, err = s.Storage.Free(ctx, v)
		return err
	})
	return free, err
}
