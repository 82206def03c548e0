package caddy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/plans"
)

// residentKB is a process's resident memory as the kernel has it.
func residentKB(t testing.TB, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatalf("resident memory: %v", err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

// newFilled starts a proxy with n tenants, all on one upstream. It is filled
// in memory, where the system has that, and then moved to the disk: what is
// measured afterwards is durable, and filling it takes no minute.
func newFilled(t testing.TB, n int, address string) (*running, []plans.Entry) {
	t.Helper()
	r := newProxy(t)
	disk := r.Dir
	memory, err := os.MkdirTemp("/dev/shm", "rc-")
	if err != nil {
		return r, r.fill(t, n, address)
	}
	defer os.RemoveAll(memory)
	r.kill(t)
	r.Dir = memory
	r.start(t)
	entries := r.fill(t, n, address)
	r.kill(t)
	if err := os.RemoveAll(filepath.Join(disk, tableName)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(disk, tableName), os.DirFS(filepath.Join(memory, tableName))); err != nil {
		t.Fatal(err)
	}
	r.Dir = disk
	r.start(t)
	return r, entries
}

// fill sets n tenants, all on one upstream, and returns the entries.
func (r *running) fill(t testing.TB, n int, address string) []plans.Entry {
	t.Helper()
	entries := make([]plans.Entry, n)
	for i := range entries {
		name := fmt.Sprint("t", i)
		entries[i] = entry(name, name+".test", plans.Blue, address, address)
		if _, err := r.router.Set(t.Context(), "fill", entries[i], 0); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

// TestTenThousandTenants: as many as the design names; a switch costs what it
// costs with ten, and a restart serves all of them.
func TestTenThousandTenants(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 tenants take some seconds")
	}
	const tenants = 10_000
	u := newUpstream(t, "here", new(load.Ledger))
	empty := residentKB(t, newProxy(t).pid)
	began := time.Now()
	p, entries := newFilled(t, tenants, u.address)
	t.Logf("%d tenants set in %s", tenants, time.Since(began).Round(time.Millisecond))

	var took []time.Duration
	for i := range 200 {
		e := entries[i*7]
		rev := p.see(t, e.Tenant).Revision
		e.Slot = plans.Green
		began := time.Now()
		if _, err := p.router.Set(t.Context(), "switch", e, rev); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	began = time.Now()
	all, _, err := p.router.Observe(t.Context())
	if err != nil || len(all) != tenants {
		t.Fatalf("observed %d tenants, %v", len(all), err)
	}
	t.Logf("durable switch p50 %s, p99 %s; all observed in %s", took[100], took[197], time.Since(began).Round(time.Millisecond))
	full := residentKB(t, p.pid)
	t.Logf("resident: %d kB empty, %d kB with %d tenants", empty, full, tenants)
	if each := (full - empty) * 1024 / tenants; each > 20<<10 {
		t.Errorf("a tenant takes %d bytes, want at most 20 kB", each)
	}

	p.kill(t)
	began = time.Now()
	p.start(t)
	t.Logf("started again in %s", time.Since(began).Round(time.Millisecond))
	for _, n := range []int{0, 7, 5000, tenants - 1} {
		p.want(t, fmt.Sprintf("t%d.test", n), 200, "here")
	}
}
