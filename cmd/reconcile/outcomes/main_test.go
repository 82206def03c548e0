package outcomes

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// shop is what all rows share: built binaries, a registry, an engine.
var shop struct {
	dir      string // short: sockets are below it
	bin      string // reconcile and reconcile-caddy
	serve    string
	registry *images.Registry
	engine   func() (*dockertest.Engine, error)
	started  *dockertest.Engine
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if testing.Short() {
		fmt.Println("outcomes: left out with -short")
		return 0, nil
	}
	if shop.dir, err = os.MkdirTemp("", "out-"); err != nil {
		return 1, err
	}
	// Instances without root privileges read their image below it.
	if err := os.Chmod(shop.dir, 0o755); err != nil {
		return 1, err
	}
	defer func() {
		if shop.started != nil {
			err = errors.Join(err, shop.started.Stop())
		}
		err = errors.Join(err, os.RemoveAll(shop.dir))
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	shop.bin = filepath.Join(shop.dir, "bin")
	if err := stage.Build(ctx, shop.bin); err != nil {
		return 1, err
	}
	if shop.serve, err = images.BuildServe(ctx, shop.dir); err != nil {
		return 1, err
	}
	if shop.registry, err = images.NewRegistry("127.0.0.1:0"); err != nil {
		return 1, err
	}
	defer shop.registry.Close()
	shop.engine = sync.OnceValues(func() (*dockertest.Engine, error) {
		dir := filepath.Join(shop.dir, "d")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		shop.started, err = dockertest.Start(context.Background(), dir)
		return shop.started, err
	})
	return m.Run(), nil
}
