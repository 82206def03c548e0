package caddy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Stop ends the proxy and returns when its process has ended. Not running: no-op.
func Stop(ctx context.Context, p Proxy) error {
	h, err := p.health(ctx)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		return err
	}
	const hint = "it ends when its open requests do, at the latest after "
	// A descriptor, unlike a number, cannot come to mean another process.
	pid, err := unix.PidfdOpen(h.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return observed.Wrap("stop proxy", p.Dir, observed.Refused, err, "")
	}
	defer unix.Close(pid)
	if err := unix.PidfdSendSignal(pid, unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return observed.Wrap("stop proxy", p.Dir, observed.Refused, err, "")
	}
	if err := ended(ctx, pid); err != nil {
		return observed.Wrap("stop proxy", p.Dir, observed.Environment, err, hint+stopGrace.String())
	}
	return nil
}

// ended waits until the process behind a pidfd has ended.
func ended(ctx context.Context, pid int) error {
	for {
		// The kernel wakes us at once; the limit is for a context that ends.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pid), Events: unix.POLLIN}}, 100)
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for the process: %w", err)
		case ctx.Err() != nil:
			return fmt.Errorf("the process is still there: %w", context.Cause(ctx))
		}
	}
}

// free waits until no proxy has the table open: one may be about to end. A
// second one would take the admin socket away from it and then find the table
// locked.
func (p Proxy) free(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stopGrace+time.Second, errors.New("a proxy that does not answer on its admin socket has it open"))
	defer cancel()
	dir := filepath.Join(p.Dir, tableName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	unlock, err := alone(ctx, filepath.Join(dir, lockName))
	if err != nil {
		holder, _ := os.ReadFile(filepath.Join(dir, lockName)) // for the message only
		return fmt.Errorf("the route table is in use by process %s: %w", strings.TrimSpace(string(holder)), err)
	}
	return unlock()
}

// alone waits until it holds the lock on path.
func alone(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return f.Close, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("%s is locked: %w", path, context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}
