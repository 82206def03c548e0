package schema_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

// serviceChanges gives every field of a service a value that is not its default.
var serviceChanges = map[string]string{
	"image": "registry.example.com/b@sha256:" + digest('b'), "command": "[run]", "args": "[x]", "env": "{A: b}",
	"envFrom": `[{file: /etc/x.env, version: "1"}]`, "files": "{/etc/x: {text: x}}", "port": "8081", "ports": "{http: 8081}",
	"publish": "[{port: 5000, container: 5000}]", "user": "app", "workdir": "/srv", "resources": "{memory: 64M}",
	"capabilities": "[NET_ADMIN]", "privileged": "true", "network": "host", "mounts": "{/srv: data}", "tmpfs": "[/tmp]",
	"restart": "never", "stopSignal": "SIGINT", "stopTimeout": "1s", "labels": "{a: b}", "after": "[app]",
	"scope": "tenant", "sidecar": "true", "active": "whenRouted", "job": "{at: beforeStart}", "health": "{tcp: {}}",
}

// tenantChanges does the same for the fields of a tenant.
var tenantChanges = map[string]string{
	"runtime": "other", "strategy": "recreate", "overlap": "true", "batchPolicy": "slow", "activeSlot": "green",
	"routes": "{web: {hosts: [b.example.com]}}", "bake": "1s", "soak": "{for: 1s}", "drain": "1s", "retire": "decision",
	"retention": "{preUpgrade: {for: 30d, count: 3}}",
	"volumes":   "{data: {access: many, onUpgrade: snapshot}}", "slots": "{blue: {ports: {app/http: 21000}}}",
}

func digest(c byte) string { return strings.Repeat(string(c), 64) }

const baseFleet = `apiVersion: reconcile/v1
kind: Fleet
metadata: {name: shop}
---
apiVersion: reconcile/v1
kind: BatchPolicy
metadata: {name: slow}
---
apiVersion: reconcile/v1
kind: Template
metadata: {name: web}
spec:
  services:
    app: {image: "registry.example.com/a@sha256:AAAA", port: 8080}
    other: {image: "registry.example.com/a@sha256:AAAA", port: 8080}
  routes: {web: {service: app, hosts: [a.example.com]}}
  volumes: {data: {access: many}}
---
apiVersion: reconcile/v1
kind: Tenant
metadata: {name: acme}
spec:
  template: web
`

func resolved(t *testing.T, tail string) plans.Tenant {
	t.Helper()
	docs := parse(t, strings.ReplaceAll(baseFleet, "AAAA", digest('a'))+tail)
	plan, problems := plans.Resolve(docs, plans.Options{})
	if len(problems) > 0 {
		t.Fatalf("%s:\n%s", tail, write(problems))
	}
	return plan.Tenants[0]
}

// TestEffectsAreTrue changes every field and holds its x-effect to what the
// digests say: replace changes the generation (or that of what is upgraded
// alone), live the target but no generation, policy neither.
func TestEffectsAreTrue(t *testing.T) {
	base := resolved(t, "")
	check := func(path, tail string) {
		t.Run(path, func(t *testing.T) {
			got := resolved(t, tail)
			was, is := base.Target(), got.Target()
			replaced := was.Core != is.Core || was.Aside != is.Aside || was.Idle != is.Idle
			effect := schema.EffectPolicy
			if replaced {
				effect = schema.EffectReplace
			} else if was != is {
				effect = schema.EffectLive
			}
			if want := schema.Effect("Tenant", path); want != effect {
				t.Errorf("the schema says %s, the digests %s", want, effect)
			}
		})
	}
	for _, f := range schema.Describe("Tenant") {
		name, ok := strings.CutPrefix(f.Path, "/spec/services/*/")
		if !ok || strings.Contains(name, "/") {
			continue
		}
		value := serviceChanges[name]
		if value == "" {
			t.Errorf("no change for the field %s of a service", name)
			continue
		}
		tail := "  services: {other: {" + name + ": " + value + "}}\n"
		if name == "ports" || name == "publish" || name == "network" {
			tail += "  strategy: recreate\n"
		}
		check("/services/other/"+name, tail)
	}
	// Told by other means than the target, or made of others.
	apart := []string{"template", "services", "node", "hold", "removed", "slots"}
	for _, f := range schema.Describe("Tenant") {
		name, ok := strings.CutPrefix(f.Path, "/spec/")
		if !ok || strings.Contains(name, "/") || slices.Contains(apart, name) {
			continue
		}
		value := tenantChanges[name]
		if value == "" {
			t.Errorf("no change for the field %s of a tenant", name)
			continue
		}
		check("/"+name, "  "+name+": "+value+"\n")
	}
	check("/slots/blue/ports", "  slots: {blue: {ports: {app/http: 21000}}}\n")
}

// TestFleets loads whole fleets from disk, resolves them, and compares what
// comes out with what a reader of the plans expects.
func TestFleets(t *testing.T) {
	for _, c := range []struct {
		dir   string
		check func(t *testing.T, p *plans.Plan)
	}{
		{"quickstart", func(t *testing.T, p *plans.Plan) {
			if len(p.Tenants) != 3 {
				t.Fatalf("%d tenants", len(p.Tenants))
			}
			for _, tenant := range p.Tenants {
				if tenant.Runtime != "process" || tenant.Bake != 2*plans.Second || tenant.Drain != plans.DefaultDrain {
					t.Errorf("%s: runtime %q, bake %s, drain %s", tenant.Name, tenant.Runtime, tenant.Bake, tenant.Drain)
				}
				if !slices.Equal(tenant.Routes["web"].Hosts, []string{tenant.Name + ".example.com"}) || tenant.Core.Services["app"].Ports["http"] != 8080 {
					t.Errorf("%s: %+v", tenant.Name, tenant)
				}
			}
		}},
		{"docker", func(t *testing.T, p *plans.Plan) {
			acme, globex := p.Tenant("acme"), p.Tenant("globex")
			if acme.Aside["db"].Scope != "tenant" || !acme.Aside["metrics"].Sidecar || len(acme.Core.Services) != 2 {
				t.Errorf("acme: core %v, aside %v", keysOf(acme.Core.Services), keysOf(acme.Aside))
			}
			if acme.Core.Services["app"].Env["LOG"] != "info" || globex.Core.Services["app"].Env["LOG"] != "debug" {
				t.Error("the tenant's value does not win")
			}
			if acme.Target().Core == globex.Target().Core || acme.Target().Aside != globex.Target().Aside {
				t.Error("one variable of app changes app's generation and nothing else")
			}
			if acme.Core.Services["app"].Files["/etc/app.toml"].Digest == "" {
				t.Error("a file of the commit has no digest")
			}
			if _, there := globex.Core.Services["app"].Env["CACHE"]; there {
				t.Error("null does not remove")
			}
		}},
		{"quiesce", func(t *testing.T, p *plans.Plan) {
			acme := p.Tenant("acme")
			data := acme.Volumes["data"]
			if data.OnUpgrade != plans.Clone || data.Writes != plans.Quiesce || data.HoldLimit != 20*plans.Second || !data.Rehearse {
				t.Errorf("%+v", data)
			}
			if !acme.Core.Services["worker"].WhenRouted() || acme.Core.Services["migrate"].Job == nil {
				t.Errorf("%+v", acme.Core)
			}
			if acme.Core.Services["app"].Mounts["/srv/data"].Volume != "data" {
				t.Error("the short form of a mount is not read")
			}
			if hold := p.Tenant("initech").Hold; hold == nil || hold.Until.Format(time.RFC3339) != "2026-03-01T08:00:00Z" {
				t.Errorf("hold %+v", hold)
			}
			if len(p.Decisions) != 1 || p.Policies["careful"].HealthWithin != 90*plans.Second {
				t.Errorf("%+v, %+v", p.Decisions, p.Policies)
			}
		}},
	} {
		t.Run(c.dir, func(t *testing.T) {
			fsys := os.DirFS(filepath.Join("testdata", "fleets"))
			docs, problems, err := schema.Load(fsys, schema.Options{Root: c.dir})
			if err != nil || len(problems) > 0 {
				t.Fatalf("%v\n%s", err, write(problems))
			}
			plan, problems := plans.Resolve(docs, plans.Options{Node: "n1", File: func(path string) ([]byte, error) {
				return os.ReadFile(filepath.Join("testdata", "fleets", c.dir, path))
			}})
			if len(problems) > 0 {
				t.Fatalf("\n%s", write(problems))
			}
			c.check(t, plan)
		})
	}
}

func keysOf[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TestProblemsAcrossDocumentsHavePlaces holds that what plans finds is said at
// the line where it is written, through aliases and keys with slashes.
func TestProblemsAcrossDocumentsHavePlaces(t *testing.T) {
	docs := parse(t, strings.ReplaceAll(baseFleet, "AAAA", digest('a'))+`  services:
    app:
      mounts:
        /srv/data: nothing
      after: [nobody]
  batchPolicy: none
`)
	_, problems := plans.Resolve(docs, plans.Options{})
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Pos.Line)
	}
	start := strings.Count(baseFleet, "\n")
	if want := []int{start + 4, start + 5, start + 6}; !slices.Equal(lines, want) {
		t.Errorf("problems at lines %v, want %v:\n%s", lines, want, write(problems))
	}
}
