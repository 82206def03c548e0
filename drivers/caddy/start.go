package caddy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

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
	Started bool   // by this call; else it was running and is adopted, see Outdated
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
		return Running{PID: h.PID, Admin: p.socket()}, nil
	}
	if err := p.free(ctx); err != nil {
		return fail(observed.Environment, err, "end that process and start again")
	}
	if err := p.unused(); err != nil {
		return fail(observed.Refused, err, "stop the other server, or listen elsewhere")
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

// unused looks whether anybody listens where the proxy is to listen. Caddy
// shares its ports (SO_REUSEPORT): two of them on one address would each get
// some of the requests, and neither would say so.
func (p Proxy) unused() error {
	for _, address := range slices.Concat(p.Listen, p.ListenTLS) {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
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
			return h, fmt.Errorf("reconcile-caddy ended: %s", p.lastWords())
		case <-ctx.Done():
			return h, fmt.Errorf("it does not answer: %w", err)
		case <-tick.C:
		}
	}
}
