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

const blueGreenSlots = `
kind: Tenant
metadata: {name: solo}
spec:
  overlap: true
  activeSlot: blue
  services:
    app: {image: app@A, port: 8080, env: {A: "1", B: "2"}, publish: [{port: 7000, container: 1}]}
    side: {image: side@A, sidecar: true}
  slots:
    blue: {ports: {app/http: 7001}}
    green:
      services: {app: {image: app@B, env: {A: null}, publish: [{port: 7002, container: 1}]}}
`

func TestSlots(t *testing.T) {
	a := resolve(t, Options{}, fleet, blueGreenSlots).Tenant("solo")
	if a.Idle == nil || a.ActiveSlot != Blue {
		t.Fatalf("no idle slot: %+v", a)
	}
	active, idle := a.Core.Services["app"], a.Idle.Services["app"]
	if active.Image != "app"+digestA || idle.Image != "app"+digestB {
		t.Errorf("active %s, idle %s", active.Image, idle.Image)
	}
	if len(active.Env) != 2 || len(idle.Env) != 1 || idle.Env["B"] != "2" {
		t.Errorf("active %v, idle %v", active.Env, idle.Env)
	}
	if len(a.Core.Services) != 1 || len(a.Idle.Services) != 1 || len(a.Aside) != 1 {
		t.Errorf("sidecar: %+v", a)
	}
	if got := a.FixedPort(Key{Slot: Blue, Service: "app"}, "http"); got != 7001 {
		t.Errorf("fixed port %d", got)
	}
	if got := a.FixedPort(Key{Slot: Green, Service: "app"}, "http"); got != 0 {
		t.Errorf("port %d where none is fixed", got)
	}

	same := resolve(t, Options{}, fleet, strings.NewReplacer(`, publish: [{port: 7000, container: 1}]`, "", "      services: {app: {image: app@B, env: {A: null}, publish: [{port: 7002, container: 1}]}}", "      {}").Replace(blueGreenSlots)).Tenant("solo")
	if same.Idle == nil || same.Target().Idle != same.Target().Core {
		t.Errorf("an empty entry makes the idle slot run the same: %+v", same.Target())
	}
	flipped := resolve(t, Options{}, fleet, strings.Replace(blueGreenSlots, "activeSlot: blue", "activeSlot: green", 1)).Tenant("solo")
	if flipped.Target().Core != a.Target().Idle || flipped.Target().Idle != a.Target().Core {
		t.Errorf("a flip moves the overrides with their slot: %+v from %+v", flipped.Target(), a.Target())
	}
}

func TestLayers(t *testing.T) {
	const defaults = `
kind: Fleet
metadata: {name: test}
spec:
  pruneBudget: 5
  defaults:
    bake: 5m
    drain: 10s
    batchPolicy: slow
    soak: {keep: running}
    services: {log: {image: log@A, sidecar: true}, extra: {image: x@A}}
---
kind: BatchPolicy
metadata: {name: slow}
spec: {healthWithin: 90s, maxConsecutiveFailures: 1}
---
kind: Decision
metadata: {name: d1}
spec: {question: q1, answer: retry, reason: tried}
---
kind: Template
metadata: {name: base}
spec:
  drain: null
  services:
    extra: null
    app: {image: app@A, port: 80, health: {tcp: {}}, env: {A: "1"}, files: {/a: {from: files/app.toml}, /b: {text: "{{tenant}}"}}}
`
	const tenant = `
kind: Tenant
metadata: {name: web-1, labels: {ring: b, zone: eu}}
spec:
  template: base
  node: n1
  runtime: docker
  retire: decision
  hold: {reason: look, until: "2030-01-01T00:00:00+02:00"}
  services:
    app: {port: 8080, env: {A: null, Z: "{{label.zone}}-{{node}}"}, health: {tcp: null, exec: {command: [ok]}}}
    log: {resources: {memory: 1G, cpus: 2}}
`
	docs := documents(t, defaults, tenant, strings.NewReplacer("web-1", "web-0", "ring: b", "ring: a", "node: n1", "node: n2").Replace(tenant),
		"kind: Tenant\nmetadata: {name: zz, labels: {ring: a}}\nspec: {template: base}\n---\nkind: Tenant\nmetadata: {name: aa, labels: {ring: b}}\nspec: {template: base}\n")
	p, problems := Resolve(docs, Options{Node: "n1", Commit: "c1", File: commitFiles})
	if problems != nil {
		t.Fatal(problems)
	}
	if p.Commit != "c1" || p.Fleet != "test" || p.PruneBudget != 5 || p.Policies["slow"].MaxConsecutiveFailures != 1 || p.Decisions[0].Answer != "retry" {
		t.Errorf("%+v", p)
	}
	var order []string
	for _, tn := range p.Tenants {
		order = append(order, tn.Name)
	}
	if strings.Join(order, " ") != "zz aa web-1" {
		t.Errorf("tenants of this node in plan order: %v", order)
	}
	w := p.Tenant("web-1")
	app := w.Core.Services["app"]
	switch {
	case w.Drain != DefaultDrain, w.Bake != 300*Second, w.Soak != Soak{For: DefaultSoak, Keep: "running"}:
		t.Errorf("defaults: %+v", w)
	case len(w.Core.Services) != 1, w.Aside["log"].Image != "log"+digestA, w.Aside["log"].Resources.Memory != "1G":
		t.Errorf("services: %+v", w)
	case app.Ports["http"] != 8080, len(app.Env) != 1, app.Env["Z"] != "eu-n1", app.Health.TCP != nil, app.Health.Within != 90*Second:
		t.Errorf("app: %+v", app)
	case app.Files["/b"].Text != "web-1", app.Files["/b"].Digest != contentDigest([]byte("web-1")), !strings.Contains(string(app.Files["/a"].Content), "{{not"):
		t.Errorf("files: %+v", app.Files)
	case w.Strategy != Recreate, w.Runtime != "docker", w.Retire != "decision", w.Hold.Until.Hour() != 22:
		t.Errorf("tenant: %+v", w)
	}
	if aa := p.Tenant("aa"); aa.Core.Services["app"].Health.Within != 90*Second || aa.Core.Services["app"].Env["A"] != "1" {
		t.Errorf("a tenant with nothing of its own: %+v", aa)
	}
	if p.Tenant("web-0") != nil {
		t.Error("a tenant of another node is in the plan")
	}
}

// TestRemoved keeps what the removal needs and nothing else.
func TestRemoved(t *testing.T) {
	a := resolve(t, Options{}, platform, "kind: Tenant\nmetadata: {name: acme}\nspec: {template: platform, removed: true}\n").Tenant("acme")
	if !a.Removed || !a.Target().Zero() || len(a.Routes)+len(a.Core.Services)+len(a.Aside) != 0 || a.Volumes["data"].Source != "tank/acme" {
		t.Errorf("%+v", a)
	}
}

// TestTemplateProblemsAreSaidOnce though many tenants meet them.
func TestTemplateProblemsAreSaidOnce(t *testing.T) {
	text := strings.Replace(platform, "web: {service: app}", "web: {service: ap}", 1)
	_, problems := Resolve(documents(t, text, acme, strings.NewReplacer("name: acme", "name: beta", "Acme", "beta").Replace(acme)), Options{})
	if len(problems) != 1 || problems[0].Pos.File != "fleet.yaml" || !strings.HasSuffix(problems[0].Text, "(tenant acme and 1 more)") {
		t.Errorf("%+v", problems)
	}
	text = strings.Replace(platform, "port: 8080", "port: 80800", 1)
	_, problems = Resolve(documents(t, text, acme), Options{})
	if len(problems) != 1 || problems[0].Pos.File != "fleet.yaml" || problems[0].Pos.Line != 13 {
		t.Errorf("a template's own problem is placed at what was written: %+v", problems)
	}
}

// TestTenantsOfOtherNodesAreChecked refuses a commit alike on every host.
func TestTenantsOfOtherNodes(t *testing.T) {
	one := service("port: 80") + "  node: n1\n  routes: {a: {hosts: [a.example.com], service: app}}\n"
	two := strings.NewReplacer("solo", "duo", "n1", "n2").Replace(one)
	if p := resolve(t, Options{Node: "n1"}, fleet, one, two); len(p.Tenants) != 1 {
		t.Errorf("tenants on different nodes may have one host name: %+v", p.Tenants)
	}
	bad := strings.Replace(two, "port: 80", "port: 0", 1)
	if _, problems := Resolve(documents(t, fleet, one, bad), Options{Node: "n1"}); len(problems) == 0 {
		t.Error("a bad tenant of another node is not refused")
	}
}

// TestAlikeTenantsShare holds the memory of a large fleet down.
func TestAlikeTenantsShare(t *testing.T) {
	other := strings.NewReplacer("name: acme", "name: beta", "Acme", "beta").Replace(acme)
	p := resolve(t, Options{}, platform, acme, other)
	a, b := p.Tenant("acme"), p.Tenant("beta")
	a.Core.Services["probe"] = Service{}
	if _, shared := b.Core.Services["probe"]; !shared {
		t.Error("two tenants with nothing of their own have services of their own")
	}
}
