package process

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// children starts processes in the instance and reaps every process of it:
// orphans become children of process 1.
type children struct {
	orders chan func()
	kick   chan os.Signal

	mu    sync.Mutex // guards following; held over fork and entry, so no end is missed
	live  map[int]chan syscall.WaitStatus
	empty []chan struct{} // waiting for there to be no child
}

// command is what to start. It gets the user, environment and directory of run.
type command struct {
	run  *run
	args []string
	out  *os.File // stdout and stderr
}

type child struct {
	pid  int
	done <-chan syscall.WaitStatus
}

// kept are the capabilities a command has within its user namespace when it
// runs as root: enough to change files and users, as images' entry scripts do.
// What could undo a mount of ours or reach beyond is not among them.
var kept = map[uintptr]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_FOWNER: true, unix.CAP_FSETID: true,
	unix.CAP_KILL: true, unix.CAP_SETGID: true, unix.CAP_SETUID: true, unix.CAP_SYS_CHROOT: true,
	unix.CAP_NET_BIND_SERVICE: true,
}

// newChildren starts the one thread all processes are started from. What it
// gives up (privileges through files, capabilities) its children never have;
// the shim itself keeps them, to be able to look after the instance.
func newChildren() (*children, error) {
	c := &children{
		orders: make(chan func()),
		kick:   make(chan os.Signal, 1),
		live:   map[int]chan syscall.WaitStatus{},
	}
	signal.Notify(c.kick, syscall.SIGCHLD)
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: no other goroutine may run on it
		ready <- renounce()
		for do := range c.orders {
			do()
		}
	}()
	go c.reap()
	return c, <-ready
}

// renounce gives up what a command must never have, for this thread.
func renounce() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no new privileges: %w", err)
	}
	// What a shim that is not root was given to keep over its own start.
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	have[0].Inheritable, have[1].Inheritable = 0, 0 // and with them the ambient ones
	if err := unix.Capset(&head, &have[0]); err != nil {
		return fmt.Errorf("drop inheritable capabilities: %w", err)
	}
	for n := uintptr(0); ; n++ {
		if kept[n] {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0)
		if err == unix.EINVAL {
			return nil // beyond the last one this kernel knows
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", n, err)
		}
	}
}

// start starts a command.
func (c *children) start(cmd command) (child, error) {
	path, err := lookPath(cmd.args[0], cmd.run.Env, cmd.run.Dir)
	if err != nil {
		return child{}, err
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return child{}, err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{
		Dir: cmd.run.Dir, Env: cmd.run.Env,
		Files: []uintptr{null.Fd(), cmd.out.Fd(), cmd.out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	if !cmd.run.Mapped {
		// So that it may open /dev/stdout, which is that pipe.
		if err := cmd.out.Chown(cmd.run.UID, cmd.run.GID); err != nil {
			return child{}, err
		}
		cred := &syscall.Credential{Uid: uint32(cmd.run.UID), Gid: uint32(cmd.run.GID)}
		for _, g := range cmd.run.Groups {
			cred.Groups = append(cred.Groups, uint32(g))
		}
		attr.Sys.Credential = cred
	}
	var out child
	answered := make(chan struct{})
	c.orders <- func() {
		defer close(answered)
		c.mu.Lock()
		defer c.mu.Unlock()
		pid, e := syscall.ForkExec(path, cmd.args, attr)
		if e != nil {
			err = &notStarted{cmd.args[0], e}
			return
		}
		done := make(chan syscall.WaitStatus, 1)
		c.live[pid] = done
		out = child{pid: pid, done: done}
	}
	<-answered
	return out, err
}

// reap takes the status of every child that ended.
func (c *children) reap() {
	for range c.kick {
		for {
			var ws syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
			if err == syscall.EINTR {
				continue
			}
			c.mu.Lock()
			if pid > 0 {
				if done := c.live[pid]; done != nil {
					done <- ws
					delete(c.live, pid)
				}
			} else if err == syscall.ECHILD {
				for _, w := range c.empty {
					close(w)
				}
				c.empty = nil
			}
			c.mu.Unlock()
			if pid <= 0 {
				break
			}
		}
	}
}

// drain waits until there is no child, for at most limit.
func (c *children) drain(limit time.Duration) bool {
	gone := make(chan struct{})
	c.mu.Lock()
	c.empty = append(c.empty, gone)
	c.mu.Unlock()
	select {
	case c.kick <- syscall.SIGCHLD:
	default: // one is waiting to be read, which does as well
	}
	select {
	case <-gone:
		return true
	case <-time.After(limit):
		return false
	}
}

// lookPath finds a program as a shell would, by the PATH of env.
func lookPath(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	for _, kv := range env {
		list, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, d := range filepath.SplitList(list) {
			p := filepath.Join("/", d, name)
			if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return p, nil
			}
		}
	}
	return "", &notStarted{name + " by PATH", os.ErrNotExist}
}

// notStarted says that a program cannot be executed.
type notStarted struct {
	what string
	err  error
}

func (e *notStarted) Error() string { return "start " + e.what + ": " + e.err.Error() }
func (e *notStarted) Unwrap() error { return e.err }
