package plans

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// hashed gives every document the hash of what it says.
func hashed(t *testing.T, docs []Document) []Document {
	t.Helper()
	for i := range docs {
		d := &docs[i]
		text, err := json.Marshal([]any{d.Kind, d.Name, d.Labels, d.Formerly, d.Spec})
		if err != nil {
			t.Fatal(err)
		}
		d.Hash = contentDigest(text)
	}
	return docs
}

// A plan resolved with a memory is the one resolved without, whatever changed.
func TestMemoryChangesNothing(t *testing.T) {
	const start = platform + `
---
apiVersion: reconcile/v1
kind: BatchPolicy
metadata: {name: standard}
spec: {healthWithin: 5m}
---
apiVersion: reconcile/v1
kind: Tenant
metadata: {name: acme}
spec: {template: platform, batchPolicy: standard, routes: {web: {hosts: [acme.example.com]}}}
---
apiVersion: reconcile/v1
kind: Tenant
metadata: {name: globex}
spec: {template: platform, routes: {web: {hosts: [globex.example.com]}}, services: {app: {files: {/etc/a: {from: a.txt}}}}}
---
apiVersion: reconcile/v1
kind: Tenant
metadata: {name: initech}
spec: {template: platform, routes: {web: {hosts: [initech.example.com]}}}
`
	for name, change := range map[string]func(text string, o *Options) string{
		"nothing":        func(text string, _ *Options) string { return text },
		"tenant":         func(text string, _ *Options) string { return strings.Replace(text, "[acme.", "[www.acme.", 1) },
		"template":       func(text string, _ *Options) string { return strings.Replace(text, "LOG: info", "LOG: debug", 1) },
		"policy":         func(text string, _ *Options) string { return strings.Replace(text, "5m", "6m", 1) },
		"no health time": func(text string, _ *Options) string { return strings.Replace(text, ", within: 30s", "", 1) },
		"fleet": func(text string, _ *Options) string {
			return strings.Replace(text, "name: test}", "name: test}\nspec: {defaults: {bake: 7s}}", 1)
		},
		"node": func(text string, o *Options) string { o.Node = "n2"; return text },
		"file": func(text string, o *Options) string {
			o.File = func(string) ([]byte, error) { return []byte("other"), nil }
			return text
		},
		"file gone": func(text string, o *Options) string {
			o.File = func(path string) ([]byte, error) { return nil, fmt.Errorf("no %s", path) }
			return text
		},
		"one less":  func(text string, _ *Options) string { return text[:strings.LastIndex(text, "---")] },
		"same host": func(text string, _ *Options) string { return strings.Replace(text, "[acme.", "[initech.", 1) },
		"another past": func(text string, _ *Options) string {
			return strings.Replace(text, "{name: acme}", "{name: acme, formerly: globex}", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Node: "n1", File: func(string) ([]byte, error) { return []byte("text"), nil }, Memory: new(Memory)}
			if p, problems := Resolve(hashed(t, parse(t, "f.yaml", start)), o); p == nil {
				t.Fatal(problems)
			}
			if len(o.Memory.tenants) != 3 {
				t.Fatalf("%d of 3 tenants are remembered", len(o.Memory.tenants))
			}
			docs := hashed(t, parse(t, "f.yaml", change(start, &o)))
			got, found := Resolve(docs, o)
			o.Memory = nil
			want, wanted := Resolve(docs, o)
			if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(found, wanted) {
				t.Errorf("with a memory: %+v\n%+v\nwithout: %+v\n%+v", got, found, want, wanted)
			}
		})
	}
}

// What did not change is not made again: it is the very same maps.
func TestMemoryIsUsed(t *testing.T) {
	text := platform + "\n---\napiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: acme}\nspec: {template: platform, routes: {web: {hosts: [acme.example.com]}}, services: {app: {env: {A: b}}}}\n"
	o := Options{Memory: new(Memory)}
	var maps [2]uintptr
	for i := range maps {
		p, problems := Resolve(hashed(t, parse(t, "f.yaml", text)), o)
		if p == nil {
			t.Fatal(problems)
		}
		maps[i] = reflect.ValueOf(p.Tenants[0].Core.Services).Pointer()
	}
	if maps[0] != maps[1] {
		t.Error("the tenant was resolved again")
	}
}
