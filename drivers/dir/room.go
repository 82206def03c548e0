package dir

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans"
)

// full says that there is no room left, on the disk or by a quota.
func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Free implements drivers.Storage.
func (d *Driver) Free(_ context.Context, v plans.Volume) (int64, error) {
	path, err := d.nearest(v)
	if err != nil {
		return 0, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, d.problem("free space", path, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Pool implements drivers.Pooled: the mount point of the filesystem.
func (d *Driver) Pool(_ context.Context, v plans.Volume) (string, error) {
	path, err := d.nearest(v)
	if err != nil {
		return "", err
	}
	at, err := mountOf(path)
	return at.point, d.problem("find filesystem", path, err)
}

// nearest is the folder a volume's datasets are made in, or what is there of the
// way to it.
func (d *Driver) nearest(v plans.Volume) (string, error) {
	path, err := d.below(v.Source)
	if v.Import {
		path = d.cfg.Root // copies of it are made beside all else
	}
	if err != nil {
		return "", err
	}
	for {
		var st unix.Stat_t
		err := unix.Stat(path, &st)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || path == d.cfg.Root {
			return "", d.problem("find folder", path, err)
		}
		path = filepath.Dir(path)
	}
}

// mountNear is the mount point a path is below, or will be once it is made.
func (d *Driver) mountNear(path string) (string, error) {
	real, err := resolved(path)
	if err != nil {
		return "", err
	}
	for {
		at, err := mountOf(real)
		if !errors.Is(err, fs.ErrNotExist) || real == filepath.Dir(real) {
			return at.point, err
		}
		real = filepath.Dir(real)
	}
}

// mountOf is the mount a path is in, as our own mount table has it.
func mountOf(path string) (mountLine, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return mountLine{}, err
	}
	mounts, err := mountinfo("self")
	if err != nil {
		return mountLine{}, err
	}
	var at mountLine
	for _, m := range mounts {
		if within(real, m.point) && len(m.point) >= len(at.point) {
			at = m // a later one at the same point covers the earlier
		}
	}
	return at, nil
}
