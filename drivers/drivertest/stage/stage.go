// Package stage sets up a whole host for one story: a registry, a plan
// repository, a state directory and a configuration, with the real binaries run
// as a user would run them. The demo, the end-to-end tests and the benchmarks
// play on it.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
)

// Config says what the stage is made of.
type Config struct {
	Dir     string // everything is below it
	Bin     string // folder with reconcile, reconcile-caddy
	Serve   string // the test application (images.BuildServe)
	Runtime string // process or docker
	// DockerHost is the engine's socket for Runtime docker.
	DockerHost string
	Node       string // "" is host-1
	// Ports is the range given to services; "" takes a range derived from a
	// free port, so that two stages rarely meet.
	Ports string
}

// Stage is one host.
type Stage struct {
	Config
	Registry *images.Registry
	Proxy    string // address of the proxy, host:port
	Repo     string // the bare plan repository
	Work     string // a clone to commit from
	State    string
	File     string // the host's configuration
}

// New sets the stage. Nothing of reconcile runs yet.
func New(ctx context.Context, c Config) (*Stage, error) {
	if c.Node == "" {
		c.Node = "host-1"
	}
	s := &Stage{
		Config: c,
		Repo:   filepath.Join(c.Dir, "plans.git"), Work: filepath.Join(c.Dir, "plans"),
		State: filepath.Join(c.Dir, "state"), File: filepath.Join(c.Dir, "config.yaml"),
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s.Proxy = fmt.Sprintf("127.0.0.1:%d", port)
	if s.Ports == "" {
		from := 10000 + port%200*100
		s.Ports = fmt.Sprintf("%d-%d", from, from+99)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := s.git(ctx, c.Dir, "init", "-q", "--bare", "-b", "main", s.Repo); err != nil {
		return nil, err
	}
	if err := s.git(ctx, c.Dir, "clone", "-q", s.Repo, s.Work); err != nil {
		return nil, err
	}
	if err := s.git(ctx, s.Work, "checkout", "-q", "-b", "main"); err != nil {
		return nil, err
	}
	if s.Registry, err = images.NewRegistry("127.0.0.1:0"); err != nil {
		return nil, err
	}
	if err := s.configure(); err != nil {
		s.Registry.Close()
		return nil, err
	}
	return s, nil
}

// configure writes the host's configuration, as an operator would.
func (s *Stage) configure() error {
	var b strings.Builder
	fmt.Fprintf(&b, "node: %s\nstate: %s\nports: %s\nruntime: %s\nallowLocal: true\n", s.Node, s.State, s.Ports, s.Runtime)
	fmt.Fprintf(&b, "repo:\n  url: %s\n  interval: 1s\n", s.Repo)
	b.WriteString("drivers:\n")
	if s.Runtime == "docker" {
		fmt.Fprintf(&b, "  docker:\n    host: %s\n", s.DockerHost)
	}
	fmt.Fprintf(&b, "  caddy:\n    listen: %s\n    binary: %s\n", s.Proxy, filepath.Join(s.Bin, "reconcile-caddy"))
	return os.WriteFile(s.File, []byte(b.String()), 0o600)
}

// Image pushes a version of the test application and returns its reference. env
// is built into the image, on top of VERSION.
func (s *Stage) Image(ctx context.Context, repo, version string, env map[string]string) (string, error) {
	all := map[string]string{"VERSION": version}
	for k, v := range env {
		all[k] = v
	}
	return s.Registry.Push(ctx, repo, version, images.Spec{Binary: s.Serve, Env: all})
}

// Commit writes files into the plan repository (an empty content removes one),
// commits and pushes them, and returns the commit.
func (s *Stage) Commit(ctx context.Context, message string, files map[string]string) (string, error) {
	for name, text := range files {
		file := filepath.Join(s.Work, name)
		if text == "" {
			if err := os.Remove(file); err != nil {
				return "", err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	if err := s.git(ctx, s.Work, "add", "-A"); err != nil {
		return "", err
	}
	if err := s.git(ctx, s.Work, "commit", "-q", "-m", message); err != nil {
		return "", err
	}
	return s.push(ctx)
}

// Revert reverts the newest commit and pushes that.
func (s *Stage) Revert(ctx context.Context) (string, error) {
	if err := s.git(ctx, s.Work, "revert", "--no-edit", "HEAD"); err != nil {
		return "", err
	}
	return s.push(ctx)
}

func (s *Stage) push(ctx context.Context) (string, error) {
	if err := s.git(ctx, s.Work, "push", "-q", "origin", "HEAD:main"); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "git", "rev-parse", "HEAD")
	cmd.Dir = s.Work
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func (s *Stage) git(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ann Author", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann Author", "GIT_COMMITTER_EMAIL=ann@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

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
	Exit           int
	Stdout, Stderr string
	Took           time.Duration
}

// Run runs reconcile to its end. Only a run that could not be made is an error.
func (s *Stage) Run(ctx context.Context, args ...string) (Result, error) {
	return s.Tee(ctx, nil, args...)
}

// Tee is Run, with the output also written to w as it comes.
func (s *Stage) Tee(ctx context.Context, w io.Writer, args ...string) (Result, error) {
	cmd := s.Command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if w != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, w), io.MultiWriter(&errs, w)
	}
	start := time.Now()
	err := cmd.Run()
	r := Result{Exit: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: errs.String(), Took: time.Since(start)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, err
	}
	return r, nil
}

// Status is the part of `reconcile status -o json` that stories look at.
type Status struct {
	Commit  string   `json:"commit"`
	Tenants []Tenant `json:"tenants"`
}

// Tenant is one tenant of a Status.
type Tenant struct {
	Name       string    `json:"name"`
	State      string    `json:"state"`
	Reason     string    `json:"reason"`
	ActiveSlot string    `json:"activeSlot"`
	Generation string    `json:"generation"`
	Services   []Service `json:"services"`
	Why        string    `json:"why"`
	Next       string    `json:"next"`
}

// Service is one service of a Tenant.
type Service struct {
	Name    string `json:"name"`
	Image   string `json:"image"`
	Running bool   `json:"running"`
	Healthy bool   `json:"healthy"`
	Slot    string `json:"slot"`
	Since   string `json:"since"`
}

// Tenant finds a tenant by name; the zero Tenant if there is none.
func (s Status) Tenant(name string) Tenant {
	for _, t := range s.Tenants {
		if t.Name == name {
			return t
		}
	}
	return Tenant{}
}

// Status asks reconcile what it thinks of its tenants.
func (s *Stage) Status(ctx context.Context) (Status, error) {
	var st Status
	r, err := s.Run(ctx, "status", "-o", "json")
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal([]byte(r.Stdout), &st); err != nil {
		return st, fmt.Errorf("status: %w\n%s%s", err, r.Stdout, r.Stderr)
	}
	return st, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
