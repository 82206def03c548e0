package plans

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// fleetOf makes a fleet of n tenants of one template, each with a host name
// and every tenth with a variable of its own.
func fleetOf(t testing.TB, n int) []Document {
	template := strings.Replace(platform, "LOG: info,", `LOG: info, A: "1", B: "2", C: "3",`, 1)
	docs := parse(t, "fleet.yaml", template)
	for i := range n {
		name := fmt.Sprintf("tenant-%05d", i)
		spec := map[string]any{
			"template": "platform",
			"routes":   map[string]any{"web": map[string]any{"hosts": []any{name + ".example.com"}}},
		}
		if i%10 == 0 {
			spec["services"] = map[string]any{"app": map[string]any{"env": map[string]any{"SIZE": fmt.Sprint(i)}}}
		}
		at := Pos{File: name + ".yaml", Line: 1, Column: 1}
		docs = append(docs, Document{
			Kind: KindTenant, Name: name, Labels: map[string]string{"ring": "main"}, Spec: spec, At: at,
			Where: func(string) Pos { return at },
		})
	}
	return docs
}

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		docs := fleetOf(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p, problems := Resolve(docs, Options{Node: "n1"}); p == nil {
					b.Fatal(problems)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/tenant")
		})
	}
}

func BenchmarkTarget(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		p, _ := Resolve(fleetOf(b, n), Options{Node: "n1"})
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for i := range p.Tenants {
					p.Tenants[i].Target()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/tenant")
		})
	}
}

// TestMemoryOfATenant holds what a resolved tenant keeps in memory to a tenth
// of what the daemon may need for one.
func TestMemoryOfATenant(t *testing.T) {
	const n = 2000
	docs := fleetOf(t, n)
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := inUse()
	p, problems := Resolve(docs, Options{Node: "n1"})
	if p == nil {
		t.Fatal(problems)
	}
	each := (int64(inUse()) - int64(before)) / n
	t.Logf("%d bytes a tenant", each)
	if each > 3000 {
		t.Errorf("a resolved tenant keeps %d bytes", each)
	}
	runtime.KeepAlive(p)
	runtime.KeepAlive(docs)
}
