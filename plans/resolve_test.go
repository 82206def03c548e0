package plans

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const (
	digestA = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// parse reads documents the way the schema package hands them over, with
// places good enough for tests: the line of the deepest key on the way.
func parse(t testing.TB, file, text string) []Document {
	t.Helper()
	text = strings.ReplaceAll(text, "@A", digestA)
	text = strings.ReplaceAll(text, "@B", digestB)
	dec := yaml.NewDecoder(strings.NewReader(text))
	var docs []Document
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			break
		}
		var v struct {
			Kind     Kind
			Metadata struct {
				Name     string
				Labels   map[string]string
				Formerly string
			}
		}
		if err := n.Decode(&v); err != nil {
			t.Fatal(err)
		}
		top := n.Content[0]
		d := Document{Kind: v.Kind, Name: v.Metadata.Name, Labels: v.Metadata.Labels, Formerly: v.Metadata.Formerly,
			At: Pos{File: file, Line: top.Line, Column: top.Column}}
		for i := 0; i < len(top.Content); i += 2 {
			if top.Content[i].Value != "spec" {
				continue
			}
			spec := top.Content[i+1]
			d.Spec, _ = jsonValue(spec).(map[string]any)
			d.Where = func(path string) Pos {
				at, pos := spec, Pos{File: file, Line: spec.Line, Column: spec.Column}
			walk:
				for token := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
					for i := 0; i+1 < len(at.Content) && at.Kind == yaml.MappingNode; i += 2 {
						if at.Content[i].Value == unescape(token) {
							pos = Pos{File: file, Line: at.Content[i].Line, Column: at.Content[i].Column}
							at = at.Content[i+1]
							continue walk
						}
					}
					break
				}
				return pos
			}
		}
		docs = append(docs, d)
	}
	return docs
}

func jsonValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = jsonValue(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, jsonValue(c))
		}
		return l
	}
	var v any
	_ = n.Decode(&v)
	switch x := v.(type) {
	case int:
		return float64(x)
	}
	return v
}

const platform = `
apiVersion: reconcile/v1
kind: Fleet
metadata: {name: test}
---
apiVersion: reconcile/v1
kind: Template
metadata: {name: platform}
spec:
  services:
    app:
      image: registry.example.com/app:1.0@A
      port: 8080
      env: {LOG: info, SLOT: "{{slot}}"}
      mounts: {/srv/data: data}
      health: {http: {path: /health}, within: 30s}
    mail:
      image: registry.example.com/mail@B
      scope: tenant
  routes: {web: {service: app}}
  volumes:
    data: {source: "tank/{{tenant}}", onUpgrade: clone, writes: quiesce}
`

const acme = `
kind: Tenant
metadata: {name: acme, labels: {ring: canary}}
spec:
  template: platform
  routes: {web: {hosts: [Acme.Example.com]}}
`

func resolve(t testing.TB, o Options, texts ...string) *Plan {
	t.Helper()
	p, problems := Resolve(documents(t, texts...), o)
	for _, pr := range problems {
		t.Errorf("%s\n\thint: %s", pr.Error(), pr.Hint)
	}
	if p == nil {
		t.Fatal("no plan")
	}
	return p
}

func documents(t testing.TB, texts ...string) []Document {
	var docs []Document
	for i, text := range texts {
		docs = append(docs, parse(t, []string{"fleet.yaml", "acme.yaml", "third.yaml", "fourth.yaml"}[i], text)...)
	}
	return docs
}

func TestResolve(t *testing.T) {
	p := resolve(t, Options{Node: "n1"}, platform, acme)
	a := p.Tenant("acme")
	if a == nil {
		t.Fatal("tenant acme is missing")
	}
	t.Logf("%+v", a)
	app := a.Core.Services["app"]
	if app.Ports["http"] != 8080 || app.Mounts["/srv/data"].Volume != "data" {
		t.Errorf("short forms: %+v", app)
	}
	if a.Strategy != BlueGreen || a.Bake != 60*Second || a.Drain != 30*Second || a.Soak.For.Std().Hours() != 24 {
		t.Errorf("defaults: %+v", a)
	}
	if got := a.Routes["web"].Hosts[0]; got != "acme.example.com" {
		t.Errorf("host %q", got)
	}
	if got := a.Volumes["data"].Source; got != "tank/acme" {
		t.Errorf("source %q", got)
	}
	if _, ok := a.Aside["mail"]; !ok || len(a.Core.Services) != 1 {
		t.Errorf("core %v, aside %v", a.Core.Services, a.Aside)
	}
	if app.Env["SLOT"] != "{{slot}}" {
		t.Errorf("env %v", app.Env)
	}
}
