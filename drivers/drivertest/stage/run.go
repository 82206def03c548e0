package stage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Command is the reconcile binary with this host's configuration.
func (s *Stage) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "reconcile"), append(args, "--config", s.File)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	// An interrupted story asks first, so that what it started is looked after.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Result is what a run of reconcile gave.
type Result struct {
	Exit           int  // -1 where it was killed
	Killed         bool // by SIGKILL
	Stdout, Stderr string
	Took           time.Duration
}

// Run runs reconcile to its end. Only a run that could not be made is an error.
func (s *Stage) Run(ctx context.Context, args ...string) (Result, error) {
	return s.run(s.Command(ctx, args...), nil)
}

// RunWith is Run with variables of its own in the environment.
func (s *Stage) RunWith(ctx context.Context, env []string, args ...string) (Result, error) {
	cmd := s.Command(ctx, args...)
	cmd.Env = append(cmd.Env, env...)
	return s.run(cmd, nil)
}

// Tee is Run, with the output also written to w as it comes.
func (s *Stage) Tee(ctx context.Context, w io.Writer, args ...string) (Result, error) {
	return s.run(s.Command(ctx, args...), w)
}

func (s *Stage) run(cmd *exec.Cmd, w io.Writer) (Result, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if w != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, w), io.MultiWriter(&errs, w)
	}
	start := time.Now()
	err := cmd.Run()
	r := Result{Stdout: out.String(), Stderr: errs.String(), Took: time.Since(start)}
	if cmd.ProcessState == nil {
		return r, err
	}
	r.Exit = cmd.ProcessState.ExitCode()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		r.Killed = ws.Signaled() && ws.Signal() == syscall.SIGKILL
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, err
	}
	return r, nil
}
