package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// shop is what the benchmarks share; each thing is made when it is first used.
var shop struct {
	dir     string // short: sockets are below it
	started *dockertest.Engine
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if shop.dir, err = os.MkdirTemp("", "bm-"); err != nil {
		return 1, err
	}
	if err := os.Chmod(shop.dir, 0o755); err != nil {
		return 1, err
	}
	defer func() {
		if shop.started != nil {
			err = errors.Join(err, shop.started.Stop())
		}
		err = errors.Join(err, os.RemoveAll(shop.dir))
	}()
	return m.Run(), nil
}

// binaries is the folder with reconcile and reconcile-caddy, built as `make
// build` does.
var binaries = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(shop.dir, "bin")
	return bin, stage.Build(context.Background(), bin)
})

var application = sync.OnceValues(func() (string, error) {
	return images.BuildServe(context.Background(), shop.dir)
})

var engine = sync.OnceValues(func() (*dockertest.Engine, error) {
	dir := filepath.Join(shop.dir, "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	shop.started, err = dockertest.Start(context.Background(), dir)
	return shop.started, err
})

// must returns what made or ends the benchmark.
func must[V any](b *testing.B) func(V, error) V {
	return func(v V, err error) V {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
}

// ratios are pairs of what ours and the floor took, measured in turns so that
// whatever else the machine does meets both.
type ratios struct{ ours, floor []float64 }

func (r *ratios) add(ours, floor float64) {
	r.ours, r.floor = append(r.ours, ours), append(r.floor, floor)
}

// report prints the median of the pairs' ratios, and both medians in unit.
func (r *ratios) report(b *testing.B, name, unit string) {
	pairs := make([]float64, len(r.ours))
	for i := range pairs {
		pairs[i] = r.ours[i] / r.floor[i]
	}
	b.ReportMetric(median(pairs), name)
	b.ReportMetric(median(r.ours), unit)
	b.ReportMetric(median(r.floor), "floor-"+unit)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
