// Package dockertest runs a Docker engine of its own for tests and benchmarks:
// its own data root, exec root, socket, containerd and cgroups, beside any
// engine of the machine and without touching it. It changes neither packet
// filter nor forwarding: networks are real bridges, host ports are served by
// the engine's userland proxy, and containers reach no network beyond the host.
package dockertest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/client"
)

// Engine is one running engine.
type Engine struct {
	// Host is its socket, "unix:///…", and Dir all that it has on disk.
	Host string
	Dir  string

	mark string // names its cgroups
	pool *pool

	mu   sync.Mutex // guards cmd and done
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// ErrUnable says that no engine can be run here: not root, or not installed.
var ErrUnable = errors.New("no docker engine can be started here")

// longestSocket is the longest path of a unix socket (unix(7), sun_path).
const longestSocket = 107

// readyWithin bounds the start of an engine; 2 s is usual.
const readyWithin = 60 * time.Second

// Start runs an engine in dir, which must exist and should be short. The caller
// calls Stop, which leaves nothing of it. Where no engine can be run at all the
// error is ErrUnable.
func Start(ctx context.Context, dir string) (*Engine, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: not root", ErrUnable)
	}
	for _, tool := range []string{"dockerd", "containerd", "runc", "docker-proxy"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: %s is not installed", ErrUnable, tool)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// Deep below the directory, containerd makes the longest path.
	if n := len(dir + "/e/containerd/containerd-debug.sock"); n > longestSocket {
		return nil, fmt.Errorf("start engine: %s is %d bytes too long for a socket", dir, n-longestSocket)
	}
	h := fnv.New32a()
	h.Write([]byte(dir))
	e := &Engine{
		Host: "unix://" + dir + "/s", Dir: dir,
		mark: fmt.Sprintf("dockertest-%08x", h.Sum32()),
	}
	if e.pool, err = claimPool(); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	if err := e.run(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Engine) run(ctx context.Context) error {
	if err := e.forgetContainerd(); err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	logf, err := os.OpenFile(e.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	defer logf.Close()
	args := []string{
		"--data-root", e.path("d"), "--exec-root", e.path("e"), "--pidfile", e.path("pid"),
		"--host", e.Host, "--bridge", "none", "--iptables=false", "--ip6tables=false",
		"--ip-forward=false", "--ip-masq=false", "--userland-proxy=true",
		"--default-address-pool", "base=" + e.pool.net.String() + ",size=26",
		"--cgroup-parent", "/" + e.mark, "--log-level", "warn", "--shutdown-timeout", "5",
	}
	if !overlays(e.Dir) {
		args = append(args, "--storage-driver", "vfs")
	}
	cmd := exec.Command("dockerd", append(args, "--config-file", e.path("none.json"))...)
	if err := os.WriteFile(e.path("none.json"), []byte("{}"), 0o600); err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	cmd.Stdout, cmd.Stderr = logf, logf
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error, 1), make(chan struct{})
	go runPinned(cmd, started, done)
	if err := <-started; err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	e.mu.Lock()
	e.cmd, e.done = cmd, done
	e.mu.Unlock()
	return e.ready(ctx, done)
}

// ready waits until the engine answers.
func (e *Engine) ready(ctx context.Context, done <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	cli, err := e.Client()
	if err != nil {
		return err
	}
	defer cli.Close()
	for {
		_, err := cli.Ping(ctx, client.PingOptions{})
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("start engine: it ended:\n%s", e.Log(20))
		case <-ctx.Done():
			return fmt.Errorf("start engine: not ready: %w:\n%s", errors.Join(ctx.Err(), err), e.Log(20))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Client returns a client of the engine; the caller closes it.
func (e *Engine) Client() (*client.Client, error) { return client.New(client.WithHost(e.Host)) }

// Log returns the last lines of the engine's own log.
func (e *Engine) Log(lines int) string {
	b, _ := os.ReadFile(e.path("log"))
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (e *Engine) path(name string) string { return filepath.Join(e.Dir, name) }
