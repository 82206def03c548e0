package zfs

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

var (
	benchmarks = flag.String("benchmarks", "", "benchmarks to run in the VM: a pattern as for -bench")
	datasets   = flag.Int("datasets", 1000, "most datasets of BenchmarkLook")
)

// TestBenchmarks runs benchmarks in the VM; their lines are in its output.
func TestBenchmarks(t *testing.T) {
	if *benchmarks == "" {
		t.Skip("only with -args -benchmarks PATTERN")
	}
	vm.Tests(t, vm.Config{Pool: "tank", Console: os.Stdout,
		Command: []string{"-test.run=^TestNew$", "-test.bench=" + *benchmarks, "-test.benchtime=10x", "-datasets", strconv.Itoa(*datasets)}})
}

// BenchmarkUpgrade is snapshot, clone and promotion through the driver, beside
// the three bare commands that do the same on a dataset like it.
func BenchmarkUpgrade(b *testing.B) {
	bench := newBench(b)
	d := bench.open(b)
	live := must[observed.Dataset](b)(d.Create(b.Context(), "1", bench.order(plans.Blue, "a0", plans.Volume{})))
	write(b, live.Path, "f", strings.Repeat("data", 1<<16))
	bare := bench.root + "/bare0"
	zfs(b, "create", bare)
	var ours, theirs time.Duration
	for n := 0; b.Loop(); n++ {
		attempt := fmt.Sprintf("a%d", n+1)
		began := time.Now()
		snap := must[[]observed.Dataset](b)(d.Snapshot(b.Context(), "2", attempt, []string{live.ID}, nil))[0]
		clone := must[observed.Dataset](b)(d.Clone(b.Context(), "3", snap.ID, bench.order([]plans.Slot{plans.Green, plans.Blue}[n%2], attempt, plans.Volume{}), nil))
		if err := d.Promote(b.Context(), "4", clone.ID); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(began)

		next := fmt.Sprintf("%s/bare%d", bench.root, n+1)
		began = time.Now()
		zfs(b, "snapshot", bare+"@s"+attempt)
		zfs(b, "clone", bare+"@s"+attempt, next)
		zfs(b, "promote", next)
		theirs += time.Since(began)

		b.StopTimer()
		if err := d.Destroy(b.Context(), "5", live.ID); err != nil {
			b.Fatal(err)
		}
		zfs(b, "destroy", bare)
		live, bare = clone, next
		b.StartTimer()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-bare")
	b.ReportMetric(ours.Seconds()*1000/float64(b.N), "ms-driver")
	b.ReportMetric(theirs.Seconds()*1000/float64(b.N), "ms-bare")
}

// BenchmarkLook looks at 100, then at 1,000 datasets (-datasets; half of them the
// parents of the others), with ten snapshots of each taken recursively, beside `zfs list` of
// the same. An operation is a look at one tenant of them.
func BenchmarkLook(b *testing.B) {
	bench := newBench(b)
	c := bench.config()
	c.Look, c.Limit = true, 10*time.Minute // what is looked at is not mounted, and this machine may be slow
	d := must[*Driver](b)(New(c))
	const snapshots = 10
	most := *datasets
	var small, took, bare time.Duration
	made := 0
	for _, size := range []int{most / 10, most} {
		for ; made < size/2; made++ {
			o := bench.order(plans.Blue, "a1", plans.Volume{})
			o.Tenant = fmt.Sprintf("t%04d", made)
			args := append([]string{"create", "-u", "-p"}, options(d.marks(o))...)
			zfs(b, append(args, bench.root+"/"+o.Tenant+"/"+leaf(o))...)
		}
		for n := range snapshots {
			args := append([]string{"snapshot", "-r"}, options(map[string]string{markRole: string(observed.Origin), markAttempt: fmt.Sprintf("a%d", n)})...)
			zfs(b, append(args, fmt.Sprintf("%s@n%d-%d", bench.root, size, n))...)
		}
		began := time.Now()
		seen := must[[]observed.Dataset](b)(d.Observe(b.Context()))
		took = time.Since(began)
		began = time.Now()
		listed := lines(zfs(b, "list", "-H", "-p", "-r", "-t", "filesystem,volume,snapshot", bench.root))
		bare = time.Since(began)
		if len(seen) < size/2*(snapshots+1) || len(listed) < size*(snapshots+1) {
			b.Fatalf("of %d datasets with %d snapshots each %d are ours, of %d that are there", size, snapshots, len(seen), len(listed))
		}
		b.Logf("%d datasets and snapshots, %d of them ours: seen in %s, zfs list %s", len(listed), len(seen), took, bare)
		if size != most {
			small = took
		}
	}
	for b.Loop() {
		if seen, err := d.Observe(b.Context(), "t0005"); err != nil || len(seen) == 0 {
			b.Fatal(seen, err)
		}
	}
	b.ReportMetric(took.Seconds()/bare.Seconds(), "x-list")
	b.ReportMetric(took.Seconds()/small.Seconds(), "growth-at-10x")
	b.ReportMetric(took.Seconds()*1000, fmt.Sprintf("ms-%d-datasets", most))
	b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms-one-tenant")
}
