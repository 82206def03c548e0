package benchmarks

import (
	"fmt"
	"reflect"
	"runtime"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/schema"
)

const planHead = `apiVersion: reconcile/v1
kind: Fleet
metadata: {name: bench}
---
apiVersion: reconcile/v1
kind: Template
metadata: {name: platform}
spec:
  strategy: blueGreen
  services:
    app:
      image: registry.example.com/platform:1.26@sha256:5706a12603b548482a898ff0db3c8988f45a7be67d68644aa23a918159b7f9de
      port: 8080
      env: {LOG: info, REGION: "{{label.region}}"}
      mounts: {/srv/data: data}
      health: {http: {path: /health}, interval: 2s, successes: 3, within: 60s}
    mailer:
      image: registry.example.com/mailer:3.1@sha256:5706a12603b548482a898ff0db3c8988f45a7be67d68644aa23a918159b7f9de
      sidecar: true
  routes:
    web: {service: app, hosts: ["{{tenant}}.example.com"]}
  volumes:
    data: {access: many, onUpgrade: share}
`

const planTenant = `apiVersion: reconcile/v1
kind: Tenant
metadata:
  name: tenant-%05d
  labels: {ring: "%d", region: eu-central}
spec:
  template: platform
  services:
    app:
      env:
        TENANT_TITLE: "Customer number %d"
        FEATURES: reports,export
  routes:
    web:
      hosts: [tenant-%05d.example.com, www.tenant-%05d.example.com]
`

// repository is a plan repository of n tenants, one to a file.
func repository(n int) fstest.MapFS {
	files := fstest.MapFS{"platform.yaml": &fstest.MapFile{Data: []byte(planHead)}}
	for i := range n {
		files[tenantFile(i)] = &fstest.MapFile{Data: fmt.Appendf(nil, planTenant, i, i%5, i, i, i)}
	}
	return files
}

func tenantFile(i int) string { return fmt.Sprintf("tenants/%02d/t%05d.yaml", i%16, i) }

// reading is what a daemon keeps from one commit to the next.
type reading struct {
	b        *testing.B
	files    fstest.MapFS
	options  schema.Options
	versions map[string]int // by file, as git's blobs
	memory   plans.Memory
	seen     map[string]*plans.Tenant
	records  map[string]reconcile.Record // of converged tenants
}

func newReading(b *testing.B, n int) *reading {
	r := &reading{b: b, files: repository(n), versions: map[string]int{}, seen: map[string]*plans.Tenant{}, records: map[string]reconcile.Record{}}
	r.options = schema.Options{Cache: new(schema.Cache), Hash: func(path string) string { return fmt.Sprint(path, r.versions[path]) }}
	return r
}

// commit reads the repository as it is now: load, validate, resolve, and what
// each tenant that moved would have to change. It returns how many moved.
func (r *reading) commit() (moved int) {
	docs, problems, err := schema.Load(r.files, r.options)
	if err != nil || len(problems) > 0 {
		r.b.Fatalf("%v, %+v", err, problems)
	}
	plan, problems := plans.Resolve(docs, plans.Options{Node: "n1", Memory: &r.memory})
	if plan == nil {
		r.b.Fatalf("%+v", problems)
	}
	for i := range plan.Tenants {
		t := &plan.Tenants[i]
		if before := r.seen[t.Name]; before != nil && reflect.DeepEqual(before, t) {
			r.seen[t.Name] = t
			continue
		}
		r.seen[t.Name] = t
		c := reconcile.Diff(reconcile.Input{Name: t.Name, Want: t, Env: &reconcile.Env{
			Fleet: "bench", Node: "n1", Port: func(plans.Key, string) int { return 20000 },
		}}, r.records[t.Name])
		if c.Op != reconcile.Keep {
			moved++
		}
	}
	return moved
}

// BenchmarkPlan is what a commit costs from its text to the changes it asks for,
// beside yaml.v3 reading the same text into nodes. x-yaml compares processor
// time, which busy neighbours hardly change.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint("cold/tenants=", n), func(b *testing.B) {
			var r ratios
			var kept float64
			for b.Loop() {
				c := newReading(b, n)
				text := liveHeap() // the files themselves are git's
				took := spent(func() {
					if moved := c.commit(); moved != n {
						b.Fatalf("%d of %d are new", moved, n)
					}
				})
				kept = float64(liveHeap()-text) / 1024 / float64(n)
				r.add(took, spent(func() { yamlAlone(b, c.files) }))
				runtime.KeepAlive(c)
			}
			r.report(b, "x-yaml", "cpu-ms")
			b.ReportMetric(kept, "KB/tenant")
		})
		b.Run(fmt.Sprint("oneLine/tenants=", n), func(b *testing.B) {
			var r ratios
			c := newReading(b, n)
			c.commit()
			for i := 0; b.Loop(); i++ {
				file := tenantFile(i % n)
				c.versions[file]++
				c.files[file] = &fstest.MapFile{Data: fmt.Appendf(nil, planTenant, i%n, i%n%5, n+i, i%n, i%n)}
				took := spent(func() {
					if moved := c.commit(); moved != 1 {
						b.Fatalf("%d moved, not 1", moved)
					}
				})
				r.add(took, spent(func() { yamlAlone(b, c.files) }))
			}
			r.report(b, "x-yaml", "cpu-ms")
		})
	}
}

// yamlAlone reads every document into nodes.
func yamlAlone(b *testing.B, files fstest.MapFS) {
	for _, f := range files {
		var n yaml.Node
		if err := yaml.Unmarshal(f.Data, &n); err != nil {
			b.Fatal(err)
		}
	}
}

// spent is the processor time of this process that do took, in ms.
func spent(do func()) float64 {
	runtime.GC() // so that nobody pays for another's garbage
	before := processorTime()
	do()
	return ms(processorTime() - before)
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it fails for unknown arguments only
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
