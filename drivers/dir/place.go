package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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
