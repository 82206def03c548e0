package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errLocked says that somebody holds the lock.
var errLocked = errors.New("locked by another process")

// Locks are open file description locks: they belong to the open file, not to
// the process, so that the one who starts a shim takes the lock and hands it
// over with the file, and there is no moment at which nobody holds it. The
// kernel lets go of it when the last holder is gone, however it ended.

// takeLock opens (and makes) the lock file and takes it, or returns errLocked.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l); err != nil {
		f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// lockHeld says whether somebody holds the lock, without taking it: looking
// never gets into the way of a start.
func lockHeld(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil {
		return false, fmt.Errorf("look at lock %s: %w", path, err)
	}
	return l.Type != unix.F_UNLCK, nil
}
