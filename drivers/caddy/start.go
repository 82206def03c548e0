package caddy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Proxy is a reconcile-caddy that we start ourselves, where no unit does.
type Proxy struct {
	Binary string // path or name of reconcile-caddy
	// Dir holds its configuration, table, log and certificates, and its admin
	// socket unless Socket says otherwise.
	Dir    string
	Socket string
	// Listen are the addresses for HTTP, ListenTLS those for HTTPS with a
	// certificate on demand for each host of a tenant: from Let's Encrypt and
	// ZeroSSL, or from a certificate authority of its own with InternalCA.
	Listen     []string
	ListenTLS  []string
	InternalCA bool
}

// Running is a proxy that answers.
type Running struct {
	PID     int
	Admin   string // unix socket
	Started bool   // by this call; else it was running and is adopted
	// Differs says that it runs with another configuration than the one asked
	// for, which takes effect when it is next started.
	Differs bool
}

// startLimit is how long a started proxy may take to answer; it reads 10,000
// tenants in well under a second.
const startLimit = 20 * time.Second

// socketMax is the longest path of a unix socket (sockaddr_un, less the NUL).
const socketMax = 107

func (p Proxy) socket() string {
	if p.Socket != "" {
		return p.Socket
	}
	return filepath.Join(p.Dir, socketName)
}

// Start makes sure the proxy runs, and returns when it answers. One that runs
// is adopted. A new one is in a session of its own: it outlives the caller and
// never sees the signals of its terminal.
func Start(ctx context.Context, p Proxy) (Running, error) {
	fail := func(class observed.Class, err error, hint string) (Running, error) {
		return Running{}, observed.Wrap("start proxy", p.Dir, class, err, hint)
	}
	var err error
	if p.Dir, err = filepath.Abs(p.Dir); err != nil {
		return fail(observed.Refused, err, "")
	}
	if len(p.socket()) > socketMax {
		return fail(observed.Refused, fmt.Errorf("the socket's path %s is longer than %d bytes", p.socket(), socketMax), "choose a shorter state directory, or a socket under /run")
	}
	if len(p.Listen)+len(p.ListenTLS) == 0 {
		return fail(observed.Refused, errors.New("no address to listen on"), "")
	}
	settings, err := p.settings()
	if err != nil {
		return fail(observed.Refused, err, "")
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return fail(observed.Environment, err, "")
	}
	unlock, err := alone(ctx, filepath.Join(p.Dir, startName))
	if err != nil {
		return fail(observed.Environment, err, "")
	}
	defer unlock()

	if h, err := p.health(ctx); err == nil {
		return Running{PID: h.PID, Admin: p.socket(), Differs: p.differs(settings)}, nil
	}
	config := filepath.Join(p.Dir, configName)
	if err := os.WriteFile(config+".new", settings, 0o600); err != nil {
		return fail(observed.Environment, err, "")
	}
	if err := os.Rename(config+".new", config); err != nil {
		return fail(observed.Environment, err, "")
	}
	pid, exited, err := p.spawn(config)
	if err != nil {
		return fail(observed.Environment, err, "is reconcile-caddy installed beside reconcile, or in PATH?")
	}
	h, err := p.await(ctx, exited)
	if err != nil {
		_ = syscall.Kill(pid, syscall.SIGTERM) // it does not answer; gone already is as good
		return fail(observed.Environment, err, "see "+filepath.Join(p.Dir, logName)+" and "+filepath.Join(p.Dir, outputName))
	}
	return Running{PID: h.PID, Admin: p.socket(), Started: true}, nil
}

// differs says whether the running proxy was started with other settings.
func (p Proxy) differs(settings []byte) bool {
	have, err := os.ReadFile(filepath.Join(p.Dir, configName))
	return err != nil || !bytes.Equal(have, settings)
}

func (p Proxy) health(ctx context.Context) (wire.Health, error) {
	var h wire.Health
	c := newClient(p.socket())
	defer c.http.CloseIdleConnections()
	err := c.do(ctx, call{op: "look at proxy", method: http.MethodGet, path: "/health"}, &h)
	return h, err
}

// spawn starts the process; exited is closed when it ends while we live.
func (p Proxy) spawn(config string) (pid int, exited <-chan struct{}, err error) {
	output, err := os.OpenFile(filepath.Join(p.Dir, outputName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, nil, err
	}
	defer output.Close()
	cmd := exec.Command(p.Binary, "run", "--config", config)
	cmd.Dir = p.Dir
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+p.Dir, "XDG_CONFIG_HOME="+p.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // so that no zombie is left; why it ended is in its log
		close(done)
	}()
	return cmd.Process.Pid, done, nil
}

// await polls until the proxy answers or has ended.
func (p Proxy) await(ctx context.Context, exited <-chan struct{}) (wire.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		h, err := p.health(ctx)
		if err == nil {
			return h, nil
		}
		select {
		case <-exited:
			return h, fmt.Errorf("reconcile-caddy ended: %s", tail(filepath.Join(p.Dir, outputName)))
		case <-ctx.Done():
			return h, fmt.Errorf("it does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// Stop ends the proxy and returns when its table is free. Not running: no-op.
func Stop(ctx context.Context, p Proxy) error {
	h, err := p.health(ctx)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		return err
	}
	if err := syscall.Kill(h.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return observed.Wrap("stop proxy", p.Dir, observed.Refused, err, "")
	}
	unlock, err := alone(ctx, filepath.Join(h.Dir, "lock"))
	if err != nil {
		return observed.Wrap("stop proxy", p.Dir, observed.Environment, err, "it ends when its open requests do, at the latest after "+stopGrace.String())
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

// tail returns the end of a file, for a message.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
