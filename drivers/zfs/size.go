package zfs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

var _ drivers.CloneChecker = (*Driver)(nil)

// CheckClone implements drivers.CloneChecker: what can be known beforehand is told
// by the preflight. Data that are not there are told of by others.
func (d *Driver) CheckClone(ctx context.Context, of string, v plans.Volume) error {
	const op = "check"
	name, _, _ := strings.Cut(of, "@")
	e, err := d.one(ctx, name)
	if err == nil && d.ours(e) {
		_, err = d.suits(ctx, op, of, e.zvol(), e.local(markKind), v)
	}
	return problem(op, of, err)
}

// suits says why data cannot become what the volume says, and else to which size a
// clone of them grows, 0 for the one it has. The data are a zvol with a filesystem of
// that kind, or a dataset with files.
func (d *Driver) suits(ctx context.Context, op, of string, zvol bool, kind string, v plans.Volume) (size uint64, err error) {
	switch {
	case !zvol && v.Size != "":
		return 0, unlike(op, of, "its data are files in a dataset, and the plan wants a block device (size: "+v.Size+")",
			"take size and filesystem off, or have the application fill a new volume of another name")
	case zvol && v.Size == "" && !v.Import:
		return 0, unlike(op, of, "its data are on a block device, and the plan wants files in a dataset (it has no size)",
			"write the size again, or have the application fill a new volume of another name")
	case zvol && v.Filesystem != "" && v.Filesystem != kind:
		return 0, unlike(op, of, "it carries "+kind+", and the plan says filesystem: "+v.Filesystem,
			"write `filesystem: "+kind+"`, or have the application fill a new volume of another name")
	case !zvol || v.Size == "":
		return 0, nil
	}
	want, err := sizeOf(v.Size)
	if err != nil {
		return 0, refused(op, of, err.Error(), `write a size like "10G"`)
	}
	has, block, err := d.sizes(ctx, of)
	if err != nil {
		return 0, err
	}
	want = (want + block - 1) / block * block // as `zfs create` does
	switch {
	case want < has:
		return 0, unlike(op, of, fmt.Sprintf("it has %s, and the plan says size: %s: a filesystem does not shrink", drivers.Size(int64(has)), v.Size),
			"write `size: "+strconv.FormatUint(has, 10)+"` or more, or have the application fill a new volume of another name")
	case want == has:
		return 0, nil
	}
	return want, nil
}

// sizes are those of a zvol, or of a snapshot of one, and of its blocks.
func (d *Driver) sizes(ctx context.Context, of string) (size, block uint64, err error) {
	name, _, _ := strings.Cut(of, "@") // has the size of a block, as a snapshot has not
	out, err := d.zfs(ctx, poolOf(of), "get", "-H", "-p", "-o", "name,property,value,source", "volsize,volblocksize", name, of)
	if err != nil {
		return 0, 0, err
	}
	list, err := entries(out)
	for _, e := range list {
		if e.name == of {
			size = uint64(e.number("volsize"))
		}
		if e.name == name {
			block = uint64(e.number("volblocksize"))
		}
	}
	if err == nil && (size == 0 || block == 0) {
		err = fmt.Errorf("zfs get printed %q for volsize and volblocksize", out)
	}
	return size, block, err
}

// unlike is the problem of data that are not, and cannot become, what the plan says.
// No release is to blame for it, and it goes on once the plan is corrected.
func unlike(op, ref, text, hint string) error {
	return observed.Wrap(op, ref, observed.Environment, errors.New(text), hint+"; it goes on by itself then")
}
