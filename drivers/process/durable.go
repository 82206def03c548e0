package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// writeFileAt writes a file of an open directory durably: aside, flushed,
// renamed, and the directory flushed. A crash leaves the old content or the new.
func writeFileAt(dir *os.File, name string, data []byte, mode uint32) error {
	fd := int(dir.Fd())
	aside := name + ".new"
	h, err := unix.Openat(fd, aside, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC|unix.O_NOFOLLOW, mode)
	if err != nil {
		return fmt.Errorf("create %s: %w", aside, err)
	}
	f := os.NewFile(uintptr(h), aside)
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", aside, err)
	}
	if err := unix.Renameat(fd, aside, fd, name); err != nil {
		return fmt.Errorf("rename %s: %w", aside, err)
	}
	return dir.Sync()
}

// writeFile is writeFileAt for a path.
func writeFile(path string, data []byte, mode uint32) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return writeFileAt(dir, filepath.Base(path), data, mode)
}

func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	return writeFile(path, data, 0o600)
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// syncTree flushes all below path: file by file while they are few, else the
// whole file system, which costs once whatever else is waiting to be written.
func syncTree(path string) error {
	const few = 64
	n := 0
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n++; n > few {
			return fs.SkipAll
		}
		if d.Type().IsRegular() || d.IsDir() {
			return syncDir(p)
		}
		return nil
	})
	// A file its owner may not read cannot be flushed by itself.
	if err != nil || n > few {
		return syncWhole(path)
	}
	return nil
}

func syncWhole(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// removeTree removes path and all below it. Directories that forbid it to
// their owner (an image may hold such, overlayfs makes one) are opened first.
func removeTree(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return chmodDir(p)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// chmodDir opens a directory to its owner, and never follows a link that took
// its place. WalkDir calls it before it reads the directory.
func chmodDir(path string) error {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return err
	}
	return os.Chmod(path, 0o700)
}
