package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Daemon is `reconcile run` on a stage.
type Daemon struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// daemonWithin bounds how long a daemon takes to answer its socket; on an emulated
// processor that others use too it is slow to start.
const daemonWithin = 2 * time.Minute

// Daemon starts `reconcile run` and returns when it answers.
func (s *Stage) Daemon(ctx context.Context) (*Daemon, error) {
	d := &Daemon{log: filepath.Join(s.Dir, "daemon.log"), done: make(chan struct{})}
	out, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	// Its end is Stop's or Kill's to choose, so it is not bound to ctx.
	d.cmd = s.Command(context.WithoutCancel(ctx), "run")
	d.cmd.Stdout, d.cmd.Stderr = out, out
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(d.done)
		_ = d.cmd.Wait() // how it ended is in its log
	}()
	ctx, cancel := context.WithTimeout(ctx, daemonWithin)
	defer cancel()
	for {
		c, err := net.Dial("unix", filepath.Join(s.State, "control.sock"))
		if err == nil {
			return d, c.Close()
		}
		select {
		case <-d.done:
			return nil, fmt.Errorf("the daemon ended at once:\n%s", d.Log())
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("the daemon does not answer: %w\n%s", err, d.Log()), d.Kill())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop asks the daemon to end and waits for it.
func (d *Daemon) Stop() error { return d.end(syscall.SIGTERM) }

// Kill ends the daemon as a crash would, and waits for it.
func (d *Daemon) Kill() error { return d.end(syscall.SIGKILL) }

func (d *Daemon) end(sig syscall.Signal) error {
	if err := d.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-d.done
	return nil
}

// Log is the end of what the daemon wrote.
func (d *Daemon) Log() string {
	b, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-logTail):])
}

// logTail is how many bytes of a daemon's log a failure shows.
const logTail = 8 << 10
