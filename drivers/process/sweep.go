package process

import (
	"errors"
	"os"
	"path/filepath"
)

// sweep removes what crashed processes left: temporary folders nobody holds,
// and instances that were made and never started.
func (r *Runtime) sweep() error {
	left, err := os.ReadDir(r.path(tmpDir))
	if err != nil {
		return err
	}
	for _, e := range left {
		dir := r.path(tmpDir, e.Name())
		if held, err := lockHeld(filepath.Join(dir, lockFile)); err != nil || held {
			continue
		}
		r.log.Info("sweep", "what", dir)
		if err := removeTree(dir); err != nil {
			r.log.Warn("sweep", "what", dir, "err", err)
		}
	}
	dirs, err := os.ReadDir(r.path(instancesDir))
	if err != nil {
		return err
	}
	for _, e := range dirs {
		dir := r.path(instancesDir, e.Name())
		o, err := readOrder(dir)
		if err != nil || !o.owned(r.cfg.Owner) {
			continue
		}
		if started, err := exists(filepath.Join(dir, stateFile)); err != nil || started {
			continue
		}
		lock, err := takeLock(filepath.Join(dir, lockFile))
		if errors.Is(err, errLocked) {
			continue // being started right now
		}
		if err != nil {
			return err
		}
		if started, _ := exists(filepath.Join(dir, stateFile)); !started {
			r.log.Info("sweep", "what", dir)
			err = r.discard(dir)
		}
		lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// discard takes a directory out of its place at once, and then apart.
func (r *Runtime) discard(dir string) error {
	aside, err := r.aside("gone")
	if err != nil {
		return err
	}
	if err := os.Rename(dir, aside); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return errors.Join(syncDir(filepath.Dir(dir)), removeTree(aside))
}
