// Package workshop has what the stories of one test binary share: the built
// binaries, the test application, an image registry, and a Docker engine that
// belongs to them alone. Each is made when a story first asks for it, and all of
// it is gone when the tests end.
//
//	var shop workshop.Workshop
//
//	func TestMain(m *testing.M) { os.Exit(shop.Main(m, "e2e")) }
package workshop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// Workshop is opened by Main; stories ask it for what they need. Whatever it
// cannot make fails the story that asked.
type Workshop struct {
	dir string // short: sockets are below it

	bin      func() (string, error)
	chaos    func() (string, error)
	serve    func() (string, error)
	registry func() (*images.Registry, error)
	engine   func() (*dockertest.Engine, error)

	mu     sync.Mutex // guards the following
	stages int
	ports  int // blocks of ports given out
	closes []func() error
}

// Main runs the tests of a binary in the workshop, below a temporary folder that
// is named by name, and returns the status to exit with.
func (w *Workshop) Main(m *testing.M, name string) int {
	if err := w.open(name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := w.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func (w *Workshop) open(name string) (err error) {
	if w.dir, err = os.MkdirTemp("", name+"-"); err != nil {
		return err
	}
	// Instances without root privileges read their image below it.
	if err := os.Chmod(w.dir, 0o755); err != nil {
		return err
	}
	w.bin = sync.OnceValues(func() (string, error) {
		dir := filepath.Join(w.dir, "bin")
		return dir, stage.Build(context.Background(), dir)
	})
	w.chaos = sync.OnceValues(w.buildChaos)
	w.serve = sync.OnceValues(func() (string, error) { return images.BuildServe(context.Background(), w.dir) })
	w.registry = sync.OnceValues(func() (*images.Registry, error) {
		r, err := images.NewRegistry("127.0.0.1:0")
		if err == nil {
			w.atEnd(r.Close)
		}
		return r, err
	})
	w.engine = sync.OnceValues(func() (*dockertest.Engine, error) {
		dir := filepath.Join(w.dir, "d")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		e, err := dockertest.Start(context.Background(), dir)
		if err == nil {
			w.atEnd(e.Stop)
		}
		return e, err
	})
	return nil
}

// buildChaos builds a reconcile that can be told to die, beside the proxy there
// is.
func (w *Workshop) buildChaos() (string, error) {
	bin, err := w.bin()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(w.dir, "chaos")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.Symlink(filepath.Join(bin, "reconcile-caddy"), filepath.Join(dir, "reconcile-caddy")); err != nil {
		return "", err
	}
	return dir, stage.Build(context.Background(), dir, "chaos")
}

func (w *Workshop) atEnd(f func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closes = append(w.closes, f)
}

func (w *Workshop) close() (err error) {
	for _, f := range w.closes {
		err = errors.Join(err, f())
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// Dir is the workshop's own folder.
func (w *Workshop) Dir() string { return w.dir }

// Bin is the folder with reconcile and reconcile-caddy, built as `make build`
// does.
func (w *Workshop) Bin(t testing.TB) string { return had(t, w.bin) }

// Chaos is Bin with a reconcile that dies at the boundaries RECONCILE_CHAOS
// names.
func (w *Workshop) Chaos(t testing.TB) string { return had(t, w.chaos) }

// Serve is the test application.
func (w *Workshop) Serve(t testing.TB) string { return had(t, w.serve) }

// Registry is the image registry.
func (w *Workshop) Registry(t testing.TB) *images.Registry { return had(t, w.registry) }

// Engine is the tests' own Docker engine. Where none can be run the story is
// skipped, but not in CI.
func (w *Workshop) Engine(t testing.TB) *dockertest.Engine {
	t.Helper()
	e, err := w.engine()
	if errors.Is(err, dockertest.ErrUnable) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func had[V any](t testing.TB, get func() (V, error)) V {
	t.Helper()
	v, err := get()
	if err != nil {
		t.Fatal(err)
	}
	return v
}
