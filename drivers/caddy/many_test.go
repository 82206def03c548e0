package caddy

import (
	"fmt"
	"os"
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
		t.Skipf("resident memory: %v", err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
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
		t.Skip("10,000 tenants take some 10 s")
	}
	const tenants = 10_000
	p, ledger := newProxy(t), new(load.Ledger)
	u := newUpstream(t, "here", ledger)
	empty := residentKB(t, p.pid)
	began := time.Now()
	entries := p.fill(t, tenants, u.address)
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
