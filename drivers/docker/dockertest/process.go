package dockertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runPinned starts cmd and waits for it on one locked thread: the kernel sends
// the death signal when the thread that started the child ends, not the
// process (prctl(2), PR_SET_PDEATHSIG).
func runPinned(cmd *exec.Cmd, started chan<- error, done chan<- struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(done)
	err := cmd.Start()
	started <- err
	if err == nil {
		cmd.Wait() // how it ended is in its log
	}
}

// Kill kills the engine as a crash would: containers run on without it.
func (e *Engine) Kill() error { return e.end(syscall.SIGKILL, 10*time.Second) }

// Shutdown ends the engine as its service manager would: it stops its
// containers.
func (e *Engine) Shutdown() error { return e.end(syscall.SIGTERM, 30*time.Second) }

// Restart runs the engine again after Kill, Shutdown or PowerLoss. Containers
// that ran on are ended and those whose policy says so are started again.
func (e *Engine) Restart(ctx context.Context) error {
	e.mu.Lock()
	running := e.cmd != nil
	e.mu.Unlock()
	if running {
		return errors.New("restart engine: it runs")
	}
	return e.run(ctx)
}

// PowerLoss ends the engine and every container at once, as a reboot does:
// what is kept under /run on a real host is gone.
func (e *Engine) PowerLoss() error {
	return errors.Join(e.Kill(), e.killAll(), e.unmount(), e.pool.removeBridges(), os.RemoveAll(e.path("e")))
}

// forgetContainerd waits for the containerd of an engine that was killed, which
// ends with it, and removes its pid file: the engine takes one that is still
// ending, or a zombie that nobody waited for, for running.
func (e *Engine) forgetContainerd() error {
	path := e.path("e/containerd/containerd.pid")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("read pid of containerd: %w", err)
	}
	for deadline := time.Now().Add(5 * time.Second); !zombie(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return os.Remove(path)
}

func (e *Engine) end(sig syscall.Signal, within time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cmd == nil {
		return nil
	}
	if err := e.cmd.Process.Signal(sig); err != nil && !errors.Is(err, syscall.ESRCH) && err.Error() != "os: process already finished" {
		return fmt.Errorf("end engine: %w", err)
	}
	select {
	case <-e.done:
	case <-time.After(within):
		e.cmd.Process.Kill()
		<-e.done
	}
	e.cmd = nil
	return nil
}
