package schema_test

import (
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

const benchTenant = `apiVersion: reconcile/v1
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
  volumes:
    data: {source: "tank/tenants/{{tenant}}"}
`

func fleet(tenants, perFile int) fstest.MapFS {
	fsys := fstest.MapFS{}
	for file := range tenants / perFile {
		var text []byte
		for i := range perFile {
			n := file*perFile + i
			text = fmt.Appendf(text, "---\n"+benchTenant, n, n%5, n, n, n)
		}
		fsys[fmt.Sprintf("tenants/%02d/t%05d.yaml", file%16, file)] = &fstest.MapFile{Data: text}
	}
	return fsys
}

// BenchmarkLoad loads fleets of one document a file, and one of 100 documents a
// file. x-yaml is the time as a ratio to yaml.v3 alone reading the same text
// into nodes in the same run; KB/tenant is what stays in memory of the load.
func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct{ tenants, perFile int }{{100, 1}, {1000, 1}, {10000, 1}, {10000, 100}} {
		fsys := fleet(c.tenants, c.perFile)
		b.Run(fmt.Sprintf("cold/tenants=%d/perFile=%d", c.tenants, c.perFile), func(b *testing.B) {
			bare := yamlAlone(b, fsys)
			before := heap()
			var docs []plans.Document
			for b.Loop() {
				docs = mustLoad(b, fsys, schema.Options{})
			}
			report(b, bare)
			b.ReportMetric(float64(heap()-before)/1024/float64(c.tenants), "KB/tenant")
			runtime.KeepAlive(docs)
		})
		b.Run(fmt.Sprintf("oneChanged/tenants=%d/perFile=%d", c.tenants, c.perFile), func(b *testing.B) {
			bare := yamlAlone(b, fsys)
			version, changed := 0, "tenants/00/t00000.yaml"
			o := schema.Options{Cache: new(schema.Cache), Hash: func(path string) string {
				if path == changed {
					return fmt.Sprint(version)
				}
				return "0"
			}}
			mustLoad(b, fsys, o)
			for b.Loop() {
				version++
				mustLoad(b, fsys, o)
			}
			report(b, bare)
		})
	}
}

func report(b *testing.B, bare time.Duration) {
	took := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(took)/float64(bare), "x-yaml")
	b.ReportMetric(float64(took.Microseconds())/1000, "ms/load")
}

func mustLoad(b *testing.B, fsys fs.FS, o schema.Options) []plans.Document {
	b.Helper()
	docs, problems, err := schema.Load(fsys, o)
	if err != nil || len(problems) > 0 {
		b.Fatalf("%v, %+v", err, problems)
	}
	return docs
}

// yamlAlone is the time yaml.v3 takes to read every file into nodes.
func yamlAlone(b *testing.B, fsys fstest.MapFS) time.Duration {
	b.Helper()
	runs, start := 0, time.Now()
	for runs == 0 || time.Since(start) < 300*time.Millisecond {
		runs++
		for _, f := range fsys {
			for _, doc := range splitPlain(string(f.Data)) {
				var n yaml.Node
				if err := yaml.Unmarshal([]byte(doc), &n); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	return time.Since(start) / time.Duration(runs)
}

func splitPlain(text string) []string {
	var docs []string
	for start := 0; start < len(text); {
		end := len(text)
		for i := start + 4; i+4 <= len(text); i++ {
			if text[i:i+4] == "---\n" && text[i-1] == '\n' {
				end = i
				break
			}
		}
		docs, start = append(docs, text[start:end]), end
	}
	return docs
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryOfALargeFleet bounds what 10,000 loaded tenants keep.
func TestMemoryOfALargeFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("loads 10,000 tenants")
	}
	const tenants, most = 10_000, 6 << 10
	for _, perFile := range []int{1, 100} {
		fsys := fleet(tenants, perFile)
		before := heap()
		docs, problems, err := schema.Load(fsys, schema.Options{Cache: new(schema.Cache)})
		if err != nil || len(problems) > 0 || len(docs) != tenants {
			t.Fatalf("%d documents, %v, %v", len(docs), problems, err)
		}
		each := int(heap()-before) / tenants
		t.Logf("%d documents a file: %d bytes a tenant", perFile, each)
		if each > most {
			t.Errorf("%d documents a file: %d bytes a tenant, more than %d", perFile, each, most)
		}
		if at := docs[tenants-1].Where("/routes/web/hosts"); at.Line == 0 {
			t.Errorf("the last tenant's hosts are at %+v", at)
		}
		runtime.KeepAlive(docs)
	}
}
