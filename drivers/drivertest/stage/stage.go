// Package stage sets up a whole host for one story: a registry, a plan
// repository, a state directory and a configuration, with the real binaries run
// as a user would run them. The demo, the end-to-end tests and the benchmarks
// play on it.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

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
	Node       string // "" is host-1; two stages at a time need two names
	// Ports is the range given to services; "" takes a range derived from a
	// free port, so that two stages rarely meet.
	Ports string
	// Listen is the address of the proxy; "" is a free port of loopback.
	Listen string
	// Drivers are more lines of the host's configuration, below "drivers:".
	Drivers string
	// Registry serves the images; nil makes one that ends with the stage.
	Registry *images.Registry
}

// Stage is one host.
type Stage struct {
	Config
	Proxy string // address of the proxy, host:port
	Repo  string // the bare plan repository
	Work  string // a clone to commit from
	State string
	File  string // the host's configuration
}

// New sets the stage. Nothing of reconcile runs yet. In a Dir where one was set
// before it goes on with the plans and the state that are there.
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
	s.Proxy = c.Listen
	if s.Proxy == "" {
		s.Proxy = fmt.Sprintf("127.0.0.1:%d", port)
	}
	if s.Ports == "" {
		from := 10000 + port%200*100
		s.Ports = fmt.Sprintf("%d-%d", from, from+99)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := s.repository(ctx); err != nil {
		return nil, err
	}
	if err := s.configure(); err != nil {
		return nil, err
	}
	if s.Registry == nil {
		s.Registry, err = images.NewRegistry("127.0.0.1:0")
	}
	return s, err
}

// repository makes the plan repository, if there is none, and a clone of it.
func (s *Stage) repository(ctx context.Context) error {
	if _, err := os.Stat(s.Repo); errors.Is(err, fs.ErrNotExist) {
		if err := s.git(ctx, s.Dir, "init", "-q", "--bare", "-b", "main", s.Repo); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(s.Work); err != nil {
		return err
	}
	if err := s.git(ctx, s.Dir, "clone", "-q", s.Repo, s.Work); err != nil {
		return err
	}
	return s.git(ctx, s.Work, "checkout", "-q", "-B", "main")
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
	b.WriteString(s.Drivers)
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

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
