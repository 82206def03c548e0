package benchmarks

import (
	"os"
	"slices"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
)

var shop workshop.Workshop

func TestMain(m *testing.M) { os.Exit(shop.Main(m, "bm")) }

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
