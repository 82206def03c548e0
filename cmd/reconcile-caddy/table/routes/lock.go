package routes

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock keeps a second proxy from the table. The kernel drops it with its
// holder, however that ends.
type lock struct{ f *os.File }

// LockName is the file beside the table that its proxy holds locked; it holds
// the proxy's process id.
const LockName = "lock"

// acquire makes dir if need be and locks it.
func acquire(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open route table: %w", err)
	}
	path := filepath.Join(dir, LockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open route table: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path) // for the message only
		return nil, errors.Join(fmt.Errorf("open route table: %s is in use by process %s: %w", dir, bytes.TrimSpace(holder), err), f.Close())
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid()) // for the message above only, and the disk may be full
	}
	return &lock{f}, nil
}

func (l *lock) release() error { return l.f.Close() }
