package process

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// outLimit is the most output of a command that is kept: its end.
const outLimit = 4096

// exec runs a command beside the instance's own, with the same user,
// environment and directory. It ends with ctx.
func (s *shim) exec(ctx context.Context, args []string) answer {
	if len(args) == 0 {
		return answer{Error: "no command"}
	}
	in, out, err := os.Pipe()
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer in.Close()
	c, err := s.children.start(command{run: &s.order.Run, args: args, out: out})
	out.Close()
	if err != nil {
		// As a shell would say it: the command ran badly, the runtime is well.
		return answer{Exit: exitNoFound, Out: err.Error()}
	}
	var end tail
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(&end, in) }()
	select {
	case status := <-c.done:
		// What it left running is not waited for.
		select {
		case <-read:
		case <-time.After(100 * time.Millisecond):
		}
		return answer{Exit: exitOf(status), Out: end.String()}
	case <-ctx.Done():
		_ = unix.Kill(-c.pid, unix.SIGKILL)
		return answer{Error: "cut off: " + context.Cause(ctx).Error(), Out: end.String()}
	}
}

// tail keeps the last outLimit bytes written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - outLimit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// healthState is the verdict of the image's own healthcheck.
type healthState struct {
	mu      sync.Mutex // guards following
	verdict observed.Verdict
	out     string
}

func (h *healthState) last() (observed.Verdict, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.verdict, h.out
}

func (h *healthState) set(v observed.Verdict, out string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.verdict, h.out = v, out
}

// watch runs the healthcheck as Docker does: the first time after one interval;
// failures within the start period do not count; one success is healthy.
func (h *healthState) watch(ctx context.Context, s *shim, c imageHealth) {
	h.set(observed.Unproven, "")
	began, failures := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			h.set(observed.Unproven, "")
			return
		case <-time.After(c.Interval):
		}
		one, cancel := context.WithTimeout(ctx, c.Timeout)
		a := s.exec(one, c.Command)
		cancel()
		switch {
		case ctx.Err() != nil:
		case a.Error == "" && a.Exit == 0:
			failures = 0
			h.set(observed.Healthy, a.Out)
		case time.Since(began) < c.Start:
		default:
			if failures++; failures >= c.Retries {
				h.set(observed.Failing, a.Out+a.Error)
			}
		}
	}
}
