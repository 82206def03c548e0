package zfs

import (
	"context"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
)

// Written implements drivers.Storage. ZFS counts what its last transaction group
// wrote, so that one is written first.
func (d *Driver) Written(ctx context.Context, dataset, snapshot string) (int64, error) {
	const op = "measure"
	e, err := d.there(ctx, op, dataset)
	if err != nil {
		return 0, err
	}
	property := "referenced"
	if snapshot != "" {
		if _, err := d.there(ctx, op, snapshot); err != nil {
			return 0, err
		}
		property = "written@" + snapshot
	}
	if err := d.flushed(ctx, e); err != nil {
		return 0, problem(op, dataset, err)
	}
	if _, err := d.command(ctx, poolOf(dataset), "zpool", "sync", poolOf(dataset)); err != nil {
		return 0, problem(op, dataset, err)
	}
	out, err := d.zfs(ctx, poolOf(dataset), "get", "-H", "-p", "-o", "value", property, dataset)
	if err != nil {
		return 0, problem(op, dataset, err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return 0, conflict(op, dataset, snapshot+" is in none of what it came from")
	}
	return n, nil
}

// Free implements drivers.Storage: what the nearest dataset that is there has
// left, by its pool and by every quota above it.
func (d *Driver) Free(ctx context.Context, v plans.Volume) (int64, error) {
	const op = "free space"
	name, err := d.source(op, drivers.VolumeOrder{Volume: v})
	if v.Source == "" {
		name, err = d.cfg.Roots[0], nil
	}
	if err != nil {
		return 0, err
	}
	for d.root(name) != "" {
		e, err := d.one(ctx, name)
		switch {
		case err != nil:
			return 0, problem(op, name, err)
		case e != nil:
			return e.number("available"), nil
		}
		name = parentOf(name)
	}
	return 0, conflict(op, v.Source, "its root is gone")
}
