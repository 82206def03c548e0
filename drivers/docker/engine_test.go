package docker_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
)

// shared is one engine for the tests that do not end theirs.
var shared struct {
	sync.Mutex
	engine *dockertest.Engine
	dir    string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.engine != nil {
		if err := shared.engine.Stop(); err != nil {
			os.Stderr.WriteString("stop engine: " + err.Error() + "\n")
			code = 1
		}
		os.RemoveAll(shared.dir)
	}
	if b, err := theTestbed(); err == nil {
		b.registry.Close()
	}
	os.Exit(code)
}

// sharedEngine returns the engine all tests of this package use, without
// containers and networks of earlier ones.
func sharedEngine(t testing.TB) *dockertest.Engine {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.engine == nil {
		shared.engine, shared.dir = startEngine(t)
	}
	if err := shared.engine.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	return shared.engine
}

// ownEngine returns an engine the test may end. It and all of it is gone when
// the test is over.
func ownEngine(t testing.TB) *dockertest.Engine {
	t.Helper()
	e, dir := startEngine(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the engine's log:\n%s", e.Log(40))
		}
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return e
}

func startEngine(t testing.TB) (*dockertest.Engine, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "dkt")
	if err != nil {
		t.Fatal(err)
	}
	e, err := dockertest.Start(context.Background(), dir)
	if err != nil {
		os.RemoveAll(dir)
		unable(t, err)
	}
	return e, dir
}

// engineIn returns an engine whose data is in a directory of the test.
func engineIn(t testing.TB, dir string) *dockertest.Engine {
	t.Helper()
	e, err := dockertest.Start(context.Background(), dir)
	if err != nil {
		unable(t, err)
	}
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// unable skips where no engine can be run, and fails where one must.
func unable(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, dockertest.ErrUnable) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	t.Fatal(err)
}

var owner = drivers.Owner{Fleet: "test", Node: "n1", Controller: "c1"}

// open returns a runtime on the engine; the same state directory is the same
// reconciler.
func open(t testing.TB, e *dockertest.Engine, state string) *docker.Runtime {
	t.Helper()
	return openAs(t, docker.Config{Host: e.Host, State: state, Owner: owner})
}

func openAs(t testing.TB, c docker.Config) *docker.Runtime {
	t.Helper()
	rt, err := docker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

func bare(t testing.TB, e *dockertest.Engine) *client.Client {
	t.Helper()
	cli, err := e.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	return cli
}

func bound(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
