package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
	"github.com/gitops-fleet/reconcile/reconcile/source"
	"github.com/gitops-fleet/reconcile/schema"
)

// The fleet of the memory benchmark: all tenants of one template, in one batch.
// The probe is slow, so that what is measured is memory and not the prober at work.
const residentHead = `apiVersion: reconcile/v1
kind: Fleet
metadata: {name: bench}
---
apiVersion: reconcile/v1
kind: BatchPolicy
metadata: {name: at-once}
spec: {batchPct: 100}
---
apiVersion: reconcile/v1
kind: Template
metadata: {name: platform}
spec:
  strategy: blueGreen
  batchPolicy: at-once
  services:
    app:
      image: registry.example.com/platform:1.26@sha256:5706a12603b548482a898ff0db3c8988f45a7be67d68644aa23a918159b7f9de
      port: 8080
      env: {LOG: info, TENANT: "{{tenant}}"}
      health: {http: {path: /health}, interval: 10m, successes: 1, within: 20m}
  routes:
    web: {service: app, hosts: ["{{tenant}}.example.com"]}
  bake: 0s
  soak: {for: 0s}
`

// residentAlike says what only the tenant can say; residentOwn has values of its own.
const (
	residentAlike = `apiVersion: reconcile/v1
kind: Tenant
metadata: {name: tenant-%05d, labels: {ring: "%d"}}
spec: {template: platform}
`
	residentOwn = `apiVersion: reconcile/v1
kind: Tenant
metadata: {name: tenant-%05d, labels: {ring: "%d", region: eu-central}}
spec:
  template: platform
  services: {app: {env: {TITLE: "Customer %[1]d", FEATURES: "reports,export"}}}
  routes: {web: {hosts: ["www.tenant-%[1]d.example.com", "tenant-%[1]d.example.com"]}}
`
)

// BenchmarkResident is the memory of a daemon's parts on a converged fleet: the
// clone of a repository with a file for each tenant, the plan read from it with
// what is kept for the next commit, the agent, and the journal on disk. It is
// taken when a first pass has brought up all tenants at once, and again for a
// process that began on them as they run, both after a look at everything and
// with garbage given back.
//
// resident is all the kernel counts as the process's, of which file are pages of
// the program and the journal. The host is in memory, in the same process, which
// a real daemon's is not: host is its live heap, found by letting go of all else,
// and is not taken off the others.
func BenchmarkResident(b *testing.B) {
	for _, kind := range []struct{ name, tenant string }{{"alike", residentAlike}, {"own", residentOwn}} {
		for _, n := range []int{10, 1000, 10_000} {
			b.Run(fmt.Sprint(kind.name, "/tenants=", n), func(b *testing.B) {
				for b.Loop() {
					measureResident(b, kind.tenant, n)
				}
			})
		}
	}
}

func measureResident(b *testing.B, tenant string, n int) {
	defer debug.SetGCPercent(debug.SetGCPercent(25)) // as the daemon does
	dir := b.TempDir()
	seed(b, filepath.Join(dir, "plans.git"), tenant, n)
	host := mem.New(mem.Config{Now: time.Now})
	d := newResident(b, dir, host)
	d.pass(b)
	d.converged(b)
	up := residentNow(b)
	d.close(b)
	d = nil
	debug.FreeOSMemory()

	d = newResident(b, dir, host)
	d.pass(b)
	d.converged(b)
	heap, again := liveHeap(), residentNow(b)
	d.close(b)
	d = nil
	others := liveHeap()
	runtime.KeepAlive(host)

	mb := func(v uint64) float64 { return float64(v) / (1 << 20) }
	b.ReportMetric(float64(heap-others)/float64(n), "heap-B/tenant")
	b.ReportMetric(mb(others), "host-MB")
	b.ReportMetric(up.total, "up-MB")
	b.ReportMetric(up.file, "up-file-MB")
	b.ReportMetric(up.peak, "up-peak-MB")
	b.ReportMetric(again.total, "resident-MB")
	b.ReportMetric(again.file, "file-MB")
	b.ReportMetric(60+10*float64(n)/1024, "goal-MB")
}

// resident is what a daemon is made of.
type resident struct {
	src    *source.Source
	cache  schema.Cache
	memory plans.Memory
	store  *journal.Bolt
	agent  *agent.Agent
}

// newResident starts on what is in dir, and on the host as it is.
func newResident(b *testing.B, dir string, host *mem.Host) *resident {
	d := &resident{}
	var err error
	d.src, err = source.Open(source.Config{URL: filepath.Join(dir, "plans.git"), Dir: filepath.Join(dir, "clone.git")})
	if err != nil {
		b.Fatal(err)
	}
	if d.store, err = journal.Open(journal.Options{Dir: filepath.Join(dir, "state"), Fleet: "bench", Node: "n1"}); err != nil {
		b.Fatal(err)
	}
	d.agent, err = agent.New(agent.Config{
		Owner:    drivers.Owner{Fleet: "bench", Node: "n1", Controller: "me"},
		Runtimes: map[string]drivers.Runtime{"mem": host.Runtime()},
		Storages: map[string]drivers.Storage{"mem": host.Storage()},
		Router:   host.Router(), Prober: host.Prober(), Host: host,
		Store: d.store, Ports: agent.PortRange{From: 1024, To: 65535}, Parallel: 512,
	})
	if err != nil {
		b.Fatal(err)
	}
	d.agent.SetPlan(d.plan(b))
	return d
}

func (d *resident) close(b *testing.B) {
	if err := d.store.Close(); err != nil {
		b.Fatal(err)
	}
}

// converged wants every tenant to be where the plan wants it, and looks at all
// of them once more.
func (d *resident) converged(b *testing.B) {
	for _, t := range d.agent.Status().Tenants {
		if t.State != "converged" {
			b.Fatalf("%s is %s: %s", t.Name, t.State, t.Why)
		}
	}
	d.pass(b)
	debug.FreeOSMemory()
	if err := d.store.GiveBack(); err != nil {
		b.Fatal(err)
	}
}

// plan reads the newest commit as the daemon does.
func (d *resident) plan(b *testing.B) *plans.Plan {
	commit, err := d.src.Fetch(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	tree, err := d.src.Tree(commit.Hash)
	if err != nil {
		b.Fatal(err)
	}
	docs, problems, err := schema.Load(tree, schema.Options{Cache: &d.cache, Hash: tree.Hash})
	if err != nil || len(problems) > 0 {
		b.Fatalf("%v, %+v", err, problems)
	}
	plan, problems := plans.Resolve(docs, plans.Options{Node: "n1", Commit: commit.Hash, File: tree.ReadFile, Memory: &d.memory})
	if plan == nil {
		b.Fatalf("%+v", problems)
	}
	return plan
}

// pass looks at everything and brings it to where the plan wants it.
func (d *resident) pass(b *testing.B) {
	d.agent.Refresh()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	if _, err := d.agent.Pass(ctx); err != nil {
		b.Fatal(err)
	}
}

// seed makes a bare repository with one commit of n tenants, one to a file.
func seed(b *testing.B, dir, tenant string, n int) {
	var in bytes.Buffer
	file := func(path, text string) {
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
	}
	fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Bench <bench@example.com> 1700000000 +0000\ndata 9\nthe fleet\n")
	file("platform.yaml", residentHead)
	for i := range n {
		file(tenantFile(i), fmt.Sprintf(tenant, i, i%5))
	}
	for _, args := range [][]string{{"init", "-q", "--bare", "-b", "main", dir}, {"-C", dir, "fast-import", "--quiet"}} {
		c := exec.CommandContext(b.Context(), "git", args...)
		c.Stdin = &in
		if args[0] == "init" {
			c.Stdin = nil
		}
		if out, err := c.CombinedOutput(); err != nil {
			b.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
}

// footprint is what a process has in memory, in MB, as the kernel counts it
// (proc(5), status): all, and of that the pages of files.
type footprint struct{ total, file, peak float64 }

func residentNow(b *testing.B) (f footprint) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal("no status of the process: ", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		var kb float64
		if n, _ := fmt.Sscan(value, &kb); n == 1 {
			switch name {
			case "VmRSS":
				f.total = kb / 1024
			case "VmHWM":
				f.peak = kb / 1024
			case "RssFile":
				f.file = kb / 1024
			}
		}
	}
	return f
}
