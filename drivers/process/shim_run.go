package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The wait before the n-th restart in a row doubles from firstWait up to
// mostWait; a command that ran for longer than steady starts a new row. The
// figures are Docker's.
const (
	firstWait = 100 * time.Millisecond
	mostWait  = time.Minute
	steady    = 10 * time.Second
)

// drainLimit bounds the wait for killed processes to be gone. The kernel ends
// what is left when process 1 ends.
const drainLimit = 10 * time.Second

// run starts the command, and again while it is routed and its policy says so.
// It returns the exit status of the last one.
func (s *shim) run() int {
	row := 0
	for {
		exit, ran, stopped, err := s.once()
		if stopped != nil || !s.restarts(exit) || (err != nil && s.ready != nil) {
			return s.over(exit, err, stopped)
		}
		if row++; ran > steady {
			row = 1
		}
		s.state.Phase, s.state.Exit, s.state.Ended = phaseWaiting, exit, time.Now()
		s.state.Problem = ""
		if err != nil {
			s.state.Problem = err.Error()
		}
		_ = s.save()
		select {
		case o := <-s.stops:
			return s.over(exit, err, []stopOrder{o})
		case <-time.After(wait(row)):
		}
		// The route may have been led elsewhere meanwhile.
		if !s.restarts(exit) {
			return s.over(exit, err, nil)
		}
		s.state.Restarts++
	}
}

func wait(row int) time.Duration {
	if row > 10 {
		return mostWait
	}
	return min(mostWait, firstWait<<(row-1))
}

// restarts says whether the command is started again after it ended with exit.
func (s *shim) restarts(exit int) bool {
	if s.order.Job || s.order.Run.Restart == "never" || s.order.Run.Restart == "onFailure" && exit == 0 {
		return false
	}
	return unix.Faccessat(int(s.dir.Fd()), routedFile, unix.F_OK, 0) == nil
}

// over writes the end down and answers everybody who asked for it.
func (s *shim) over(exit int, err error, stopped []stopOrder) int {
	s.serve.close()
	s.output.close()
	s.finish(exit, err)
	s.report(err)
	for _, o := range stopped {
		close(o.done)
	}
	s.serve.wait()
	return exit
}

// once runs the command until it and all it left behind is gone.
func (s *shim) once() (exit int, ran time.Duration, stopped []stopOrder, err error) {
	s.state.Phase = phaseStarting
	app, err := s.children.start(command{
		run: &s.order.Run, args: s.order.Run.Args, out: s.output.pipe,
	})
	if err != nil {
		s.output.say("reconcile: " + err.Error() + "\n")
		exit = exitNoExec
		if errors.Is(err, os.ErrNotExist) {
			exit = exitNoFound
		}
		return exit, 0, nil, err
	}
	began := time.Now()
	s.state.Phase, s.state.Started, s.state.Problem, s.state.Exit = phaseRunning, began, "", 0
	_ = s.save()
	s.report(nil)
	ctx, cancel := context.WithCancel(context.Background())
	if s.order.Run.Health != nil {
		go s.health.watch(ctx, s, *s.order.Run.Health)
	}
	defer cancel()

	var deadline <-chan time.Time
	for {
		select {
		case status := <-app.done:
			_ = unix.Kill(-1, unix.SIGKILL) // all it left behind; ESRCH: nothing
			if !s.children.drain(drainLimit) {
				fmt.Fprintln(os.Stderr, "some killed processes are still there")
			}
			return exitOf(status), time.Since(began), stopped, nil
		case o := <-s.stops:
			if len(stopped) == 0 && o.grace > 0 {
				_ = unix.Kill(app.pid, syscall.Signal(s.order.Run.StopSignal))
			}
			stopped = append(stopped, o)
			deadline = time.After(o.grace)
			s.state.Stopping = true
			_ = s.save()
		case <-deadline:
			_ = unix.Kill(-1, unix.SIGKILL)
		}
	}
}

// stop has the run loop end the command, and returns when that is written
// down or ctx ends.
func (s *shim) stop(ctx context.Context, grace time.Duration) error {
	o := stopOrder{grace: grace, done: make(chan struct{})}
	select {
	case s.stops <- o:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func exitOf(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return exitSignal + int(ws.Signal())
	}
	return ws.ExitStatus()
}
