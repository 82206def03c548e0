package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans"
)

// errGone says that no shim answers on the instance's socket.
var errGone = errors.New("nothing runs there")

// connection is one conversation with a shim. pid is a handle to its process
// as the kernel attests it: no number read from a file is ever trusted.
type connection struct {
	net.Conn
	pid *os.File // pidfd
}

func (c *connection) Close() error {
	return errors.Join(c.Conn.Close(), c.pid.Close())
}

// dial connects to the shim of an instance, or returns errGone.
func (r *Runtime) dial(ctx context.Context, key plans.Key) (*connection, error) {
	dir, err := os.Open(r.dir(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	// By the handle, since the length of a socket's name is bounded.
	name := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), sockFile)
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", name)
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNRESET) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	pid, err := peer(c.(*net.UnixConn))
	if err != nil {
		c.Close()
		return nil, err
	}
	return &connection{c, pid}, nil
}

// peer opens the process that listens at the other end.
func peer(c *net.UnixConn) (*os.File, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var pid *os.File
	var failed error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = err
			return
		}
		h, err := unix.PidfdOpen(int(cred.Pid), 0)
		if err != nil {
			failed = errGone
			return
		}
		pid = os.NewFile(uintptr(h), "pidfd")
		// The number may have been given to another process before we opened it:
		// if it had, the shim is gone, and its socket no longer accepts.
		again, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil || again.Pid != cred.Pid {
			failed = errGone
		}
	})
	if err = errors.Join(err, failed); err != nil {
		if pid != nil {
			pid.Close()
		}
		return nil, err
	}
	return pid, nil
}

// ask sends one request and waits for its answer.
func (c *connection) ask(ctx context.Context, q request) (answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := json.NewEncoder(c).Encode(q); err != nil {
		return answer{}, err
	}
	var a answer
	if err := json.NewDecoder(c).Decode(&a); err != nil {
		if ctx.Err() != nil {
			return answer{}, context.Cause(ctx)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			return answer{}, errGone
		}
		return answer{}, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// gone waits until the process has ended, and with it all of its pid namespace.
func (c *connection) gone(ctx context.Context) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.pid.Fd()), Events: unix.POLLIN}}, 20)
		if n > 0 {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// kill ends the process at once.
func (c *connection) kill() error {
	err := unix.PidfdSendSignal(int(c.pid.Fd()), unix.SIGKILL, nil, 0)
	if err == unix.ESRCH {
		return nil
	}
	return err
}
