package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// place is what a dataset has for itself: the folder made for it, or the one that
// was taken over.
func (m mark) place() string {
	if m.Dir != "" {
		return m.Dir
	}
	return m.Path
}

// alone refuses a place that is, holds, or lies in what is not the dataset's: the
// root, the marks, or the data of another one, of whatever fleet. Links are
// followed first. id is the dataset it is for, whose own mark is not in the way.
func (d *Driver) alone(op, id, path string) error {
	path, err := resolved(path)
	if err != nil {
		return d.problem(op, path, err)
	}
	root, err := resolved(d.cfg.Root)
	if err != nil {
		return d.problem(op, d.cfg.Root, err)
	}
	const hint = "give the volume a folder of its own below the root, with nothing of another volume in it or around it"
	switch {
	case within(root, path):
		return observed.Wrap(op, path, observed.Refused, fmt.Errorf("it holds %s, where all volumes are", d.cfg.Root), hint)
	case within(path, filepath.Join(root, markDir)):
		return observed.Wrap(op, path, observed.Refused, errors.New("the marks of all volumes are there"), hint)
	}
	all, err := d.everyMark()
	if err != nil {
		return d.problem(op, path, err)
	}
	for _, m := range all {
		if m.ID == id && d.ours(m) {
			continue
		}
		other, err := resolved(m.place())
		if err != nil {
			return d.problem(op, m.place(), err)
		}
		if within(other, path) || within(path, other) {
			return observed.Wrap(op, path, observed.Refused,
				fmt.Errorf("the data of volume %s of %s are in %s", m.Volume, m.Tenant, other), hint)
		}
	}
	return nil
}

// clear removes the folder of a dataset, and nothing else.
func (d *Driver) clear(op string, m mark) error {
	if err := d.bare(op, m); err != nil {
		return err
	}
	return d.problem(op, m.ID, os.RemoveAll(m.Dir))
}

// bare refuses a folder that cannot be removed now without harm: that of a mount
// that is away, whose data would be left without a mark, and one that another
// filesystem is mounted in, whose data are not ours.
func (d *Driver) bare(op string, m mark) error {
	away, err := m.away()
	if err != nil {
		return d.problem(op, m.ID, err)
	}
	if away {
		return d.notMounted(op, m)
	}
	if m.Dir == "" {
		return nil // it stays
	}
	real, err := resolved(m.Dir)
	if err != nil {
		return d.problem(op, m.ID, err)
	}
	mounts, err := mountinfo("self")
	if err != nil {
		return d.problem(op, m.ID, err)
	}
	for _, at := range mounts {
		if within(at.point, real) {
			return observed.Wrap(op, m.ID, observed.Refused, fmt.Errorf("another filesystem is mounted in it, at %s", at.point), "unmount it")
		}
	}
	return nil
}

// away says that nothing is there of a dataset, for the filesystem it was made on is
// not mounted.
func (m mark) away() (bool, error) {
	if m.Mount == "" {
		return false, nil
	}
	if _, err := os.Stat(m.place()); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	mounts, err := mountinfo("self")
	return !slices.ContainsFunc(mounts, func(at mountLine) bool { return at.point == m.Mount }), err
}

func (d *Driver) notMounted(op string, m mark) error {
	return observed.Wrap(op, m.ID, observed.Environment, fmt.Errorf("%s is not mounted, and the volume was on it before", m.Mount),
		"mount it: it goes on by itself then. Should nothing of "+m.ID+" be on it any more, remove "+d.markFile(m.ID))
}

// within says that path is folder or lies in it. Both are clean.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}

// resolved is path without links, as far as it is there.
func resolved(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w", path, err) // of itself it does not say where
	}
	if err == nil || path == filepath.Dir(path) {
		return real, err
	}
	parent, err := resolved(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}
