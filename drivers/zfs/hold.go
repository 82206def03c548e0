package zfs

import (
	"context"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
)

// Hold implements drivers.Storage, by a hold of ZFS itself: a person's
// `zfs destroy` is refused as well.
func (d *Driver) Hold(ctx context.Context, _ string, snapshot, tag string) error {
	const op = "hold"
	if !strings.HasPrefix(tag, drivers.HoldPrefix) || strings.ContainsAny(tag, " \t\n") {
		return refused(op, snapshot, "the tag "+tag+" is none of ours", "")
	}
	e, err := d.there(ctx, op, snapshot)
	if err != nil {
		return err
	}
	if !e.snapshot() {
		return conflict(op, snapshot, "it is no snapshot")
	}
	_, err = d.zfs(ctx, poolOf(snapshot), "hold", tag, snapshot)
	if says(err, "tag already exists") {
		err = nil
	}
	return problem(op, snapshot, err)
}

// Release implements drivers.Storage.
func (d *Driver) Release(ctx context.Context, _ string, snapshot, tag string) error {
	const op = "release"
	if !strings.HasPrefix(tag, drivers.HoldPrefix) {
		return refused(op, snapshot, "the tag "+tag+" is none of ours", "")
	}
	e, err := d.one(ctx, snapshot)
	if err != nil || !d.oursSnapshot(e) || e.number("userrefs") == 0 {
		return problem(op, snapshot, err)
	}
	_, err = d.zfs(ctx, poolOf(snapshot), "release", tag, snapshot)
	if says(err, "no such tag") || says(err, "does not exist") {
		err = nil
	}
	return problem(op, snapshot, err)
}
