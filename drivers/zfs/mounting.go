package zfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// mountAgain is how long a dataset that did not mount is left alone by looks.
const mountAgain = 15 * time.Second

// remount mounts what is ours, whole and not mounted: after a restart of the
// host, after the import of a pool, after a key was loaded. It says whether it
// mounted anything.
func (d *Driver) remount(ctx context.Context, s *survey) (changed bool) {
	for _, e := range s.datasets {
		at := placeOf(e)
		if !d.ours(e) || e.local(markReady) != yes || e.locked() || !filepath.IsAbs(at.point) || at.mounted(s.table) {
			continue
		}
		d.mu.Lock()
		wait := d.going[e.name] || d.cfg.Now().Sub(d.tried[e.name]) < mountAgain
		d.mu.Unlock()
		if wait {
			continue
		}
		err := d.mount(ctx, e)
		d.mu.Lock()
		if err != nil {
			d.tried[e.name] = d.cfg.Now()
			s.problems[e.name] = observed.Wrap("mount", e.name, observed.Environment, err, "")
		} else {
			delete(d.tried, e.name)
			changed = true
		}
		d.mu.Unlock()
	}
	return changed
}

// mount mounts a dataset of ours where it belongs. Mounted already: no-op.
func (d *Driver) mount(ctx context.Context, e *entry) error {
	if e.locked() {
		return refusal{text: "encryption key not loaded"}
	}
	if e.zvol() {
		point, kind := e.local(markMount), e.local(markKind)
		if err := d.mountDevice(ctx, e.name, point, kind); err != nil || e.origin() == "" {
			return err
		}
		return d.fill(ctx, e.name, point, kind) // a clone may have a larger size than its origin
	}
	_, err := d.zfs(ctx, poolOf(e.name), "mount", e.name)
	if says(err, "already mounted") {
		return nil
	}
	return err
}

// mountDevice mounts the filesystem of a zvol. A clone has the identity of what
// it was cloned from, which xfs refuses to mount beside it but for nouuid.
func (d *Driver) mountDevice(ctx context.Context, name, point, kind string) error {
	if err := d.settled(ctx, name); err != nil {
		return err
	}
	d.mounting.Lock()
	defer d.mounting.Unlock()
	table, err := mountTable("self", true)
	if err != nil {
		return err
	}
	if (place{name, point, deviceOf(name)}).mounted(table) {
		return nil
	}
	if err := os.MkdirAll(point, 0o711); err != nil {
		return err
	}
	data := ""
	if kind == "xfs" {
		data = "nouuid"
	}
	return d.guard.run(ctx, d.cfg.Limit, poolOf(name), "mount "+device(name), func(context.Context) error {
		if err := unix.Mount(device(name), point, kind, 0, data); err != nil {
			return &fs.PathError{Op: "mount " + kind, Path: device(name), Err: err}
		}
		return nil
	})
}

// unmount takes a dataset's own mount away, if it is there.
func (d *Driver) unmount(ctx context.Context, e *entry) error {
	at := placeOf(e)
	table, err := mountTable("self", true)
	if err != nil {
		return err
	}
	if !at.mounted(table) {
		return nil
	}
	return d.guard.run(ctx, d.cfg.Limit, poolOf(e.name), "umount "+at.point, func(context.Context) error {
		if err := unix.Unmount(at.point, unix.UMOUNT_NOFOLLOW); err != nil {
			return &fs.PathError{Op: "unmount", Path: at.point, Err: err}
		}
		return nil
	})
}

// settled waits for udev to make the device of a new zvol.
func (d *Driver) settled(ctx context.Context, name string) error {
	const within = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second/4) {
		if _, err := os.Stat(device(name)); err == nil {
			return nil
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return observed.Wrap("", "", observed.Environment, fmt.Errorf("its device %s did not appear within %s", device(name), within),
				"look whether udev runs and has the rules of OpenZFS: `udevadm settle`, `zvol_wait`")
		}
	}
}

// flushed writes what is in memory of a mounted dataset to it: what a program
// wrote without a flush of its own, or into mapped memory, is in no snapshot
// before that.
func (d *Driver) flushed(ctx context.Context, e *entry) error {
	at := placeOf(e)
	if !filepath.IsAbs(at.point) {
		return nil
	}
	table, err := mountTable("self", true)
	if err != nil || !at.mounted(table) {
		return err
	}
	return d.guard.run(ctx, d.cfg.Limit, poolOf(e.name), "syncfs "+at.point, func(context.Context) error {
		f, err := os.Open(at.point)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, fs.ErrPermission):
			unix.Sync() // without root: all filesystems, then
			return nil
		case err != nil:
			return err
		}
		defer f.Close()
		if err := unix.Syncfs(int(f.Fd())); err != nil {
			return &fs.PathError{Op: "syncfs", Path: at.point, Err: err}
		}
		return nil
	})
}
