package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/drivers/process"
)

var update = flag.Bool("update", false, "write the golden screens anew")

func TestMain(m *testing.M) {
	// The process runtime starts this very binary again as the shim of an instance.
	if process.Reexec() {
		return
	}
	testscript.Main(m, map[string]func(){"reconcile": main})
}

// TestScript plays the stories of testdata/script: verbs as a user types them.
// Those that need no host run on plans alone; `host` sets up one.
func TestScript(t *testing.T) {
	play(t, "testdata/script", nil)
}

// TestHost plays the stories that need a host with a registry, a repository and
// a proxy.
func TestHost(t *testing.T) {
	if testing.Short() {
		t.Skip("host stories are left out with -short")
	}
	dir, err := os.MkdirTemp("", "verbs-") // short: sockets are below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	proxy := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "reconcile-caddy"), "../reconcile-caddy")
	proxy.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := proxy.CombinedOutput(); err != nil {
		t.Fatalf("build reconcile-caddy: %v\n%s", err, out)
	}
	serve, err := images.BuildServe(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	play(t, "testdata/host", func(e *testscript.Env) error {
		n++
		return setHost(e, filepath.Join(dir, strconv.Itoa(n)), dir, serve)
	})
}

func play(t *testing.T, dir string, setup func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir: dir, RequireExplicitExec: true, UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			for k, v := range map[string]string{
				"RECONCILE_CONFIG": filepath.Join(e.WorkDir, "config.yaml"), "RECONCILE_STATE": filepath.Join(e.WorkDir, "state"),
				"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "Ann Author", "GIT_AUTHOR_EMAIL": "ann@example.com",
				"GIT_COMMITTER_NAME": "Ann Author", "GIT_COMMITTER_EMAIL": "ann@example.com",
			} {
				e.Setenv(k, v)
			}
			if config := e.Getenv("RECONCILE_CONFIG"); !exists(config) {
				if err := os.WriteFile(config, []byte("node: host-1\n"), 0o600); err != nil {
					return err
				}
			}
			if setup == nil {
				return nil
			}
			return setup(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await, "registry": registry},
	})
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// exits runs a command line and wants its exit status: exits 2 reconcile …
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// await runs a command until its stdout contains a text: await TEXT reconcile …
func await(ts *testscript.TestScript, _ bool, args []string) {
	const limit = 20 * time.Second
	for begin := time.Now(); ; {
		_ = ts.Exec(args[1], args[2:]...) // its output says
		if strings.Contains(ts.ReadFile("stdout"), args[0]) {
			return
		}
		if time.Since(begin) > limit {
			ts.Fatalf("%q did not come in %s", args[0], limit)
		}
	}
}

// registry starts an image registry with the image app:1, and names it REGISTRY.
func registry(ts *testscript.TestScript, _ bool, _ []string) {
	r, err := images.NewRegistry("127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { r.Close() })
	file := ts.MkAbs("app.bin")
	ts.Check(os.WriteFile(file, []byte("#!/bin/true\n"), 0o755))
	ref, err := r.Push(context.Background(), "app", "1", images.Spec{Binary: file})
	ts.Check(err)
	tag, digest, _ := strings.Cut(ref, "@")
	ts.Setenv("REGISTRY", strings.TrimSuffix(tag, "/app:1"))
	ts.Setenv("DIGEST", digest)
}

// setHost sets up a host for a story: ONE, TWO and BAD name images, HOST is
// where all is, PLANS the clone to commit from. What was started is stopped.
func setHost(e *testscript.Env, dir, bin, serve string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	e.Defer(stop)
	s, err := stage.New(ctx, stage.Config{Dir: dir, Bin: bin, Serve: serve, Runtime: "process"})
	if err != nil {
		return err
	}
	for name, image := range map[string]struct {
		version string
		env     map[string]string
	}{"ONE": {"1.0", nil}, "TWO": {"1.1", nil}, "BAD": {"1.2", map[string]string{"FAIL": "health"}}} {
		ref, err := s.Image(ctx, "hello", image.version, image.env)
		if err != nil {
			return err
		}
		e.Setenv(name, ref)
	}
	e.Setenv("HOST", dir)
	e.Setenv("PLANS", s.Work)
	e.Setenv("PROXY", s.Proxy)
	e.Setenv("LISTEN", "127.0.0.1:0")
	e.Setenv("RECONCILE_CONFIG", s.File)
	e.Setenv("RECONCILE_STATE", s.State)
	e.Defer(func() {
		end, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Wreck(end); err != nil {
			e.T().Log("end what runs:", err)
		}
		if err := s.Registry.Close(); err != nil {
			e.T().Log("close registry:", err)
		}
		left, err := s.Leftovers(end)
		if err != nil || len(left) > 0 {
			e.T().Log("left behind:", left, err)
			e.T().FailNow()
		}
	})
	return nil
}
