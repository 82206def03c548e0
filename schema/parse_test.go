package schema_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

const twoDocuments = `# a comment
apiVersion: reconcile/v1
kind: Fleet
metadata:
  name: shop
---
apiVersion: reconcile/v1
kind: Tenant
metadata: {name: acme, labels: {ring: canary}, formerly: acme-old}
spec:
  template: platform
  services:
    app:
      env:
        DAY: 2026-03-01
        TEXT: |
          --- not a document
          two lines
        EMPTY: ""
        TILDE: ~
      args: [a, "{{tenant}}"]
      mounts:
        /srv/data: data
      resources: {cpus: 1.5}
      privileged: true
...
`

func parse(t *testing.T, text string) []plans.Document {
	t.Helper()
	docs, problems := schema.Parse("plans.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatalf("problems:\n%s", write(problems))
	}
	return docs
}

func TestParse(t *testing.T) {
	docs := parse(t, twoDocuments)
	if len(docs) != 2 {
		t.Fatalf("%d documents", len(docs))
	}
	if d := docs[0]; d.Kind != plans.KindFleet || d.Name != "shop" || d.Spec == nil || d.At != (plans.Pos{File: "plans.yaml", Line: 2, Column: 1}) {
		t.Errorf("fleet: %+v", d)
	}
	d := docs[1]
	if d.Kind != plans.KindTenant || d.Name != "acme" || d.Formerly != "acme-old" || d.Labels["ring"] != "canary" || d.At.Line != 7 {
		t.Errorf("tenant: %+v", d)
	}
	want := map[string]any{
		"template": "platform",
		"services": map[string]any{"app": map[string]any{
			"env":        map[string]any{"DAY": "2026-03-01", "TEXT": "--- not a document\ntwo lines\n", "EMPTY": "", "TILDE": nil},
			"args":       []any{"a", "{{tenant}}"},
			"mounts":     map[string]any{"/srv/data": "data"},
			"resources":  map[string]any{"cpus": 1.5},
			"privileged": true,
		}},
	}
	if !reflect.DeepEqual(d.Spec, want) {
		t.Errorf("spec: %#v", d.Spec)
	}
}

func TestWhere(t *testing.T) {
	d := parse(t, twoDocuments)[1]
	for path, want := range map[string]plans.Pos{
		"/template":                               {Line: 11, Column: 3},
		"/spec/template":                          {Line: 11, Column: 3},
		"/services/app/env/DAY":                   {Line: 15, Column: 9},
		"/services/app/args/1":                    {Line: 21, Column: 17},
		"/services/app/mounts/~1srv~1data":        {Line: 23, Column: 9},
		"/services/app/mounts//srv/data":          {Line: 23, Column: 9},
		"/services/app/mounts/~1srv~1data/volume": {Line: 23, Column: 9},
		"/services/app/health/http/path":          {Line: 13, Column: 5},
		"/services/app/resources/cpus":            {Line: 24, Column: 19},
		"/nothing":                                {Line: 10, Column: 1},
		"/spec":                                   {Line: 10, Column: 1},
		"":                                        {Line: 10, Column: 1},
		"/metadata/labels/ring":                   {Line: 9, Column: 33},
		"/metadata/formerly":                      {Line: 9, Column: 48},
		"/kind":                                   {Line: 8, Column: 1},
	} {
		want.File = "plans.yaml"
		if got := d.Where(path); got != want {
			t.Errorf("Where(%q) = %+v, want %+v", path, got, want)
		}
	}
}

func TestAnchorsStandForValues(t *testing.T) {
	d := parse(t, `apiVersion: reconcile/v1
kind: Template
metadata: {name: web}
spec:
  services:
    app: {env: &env {LOG: info}, args: &args [a]}
    worker: {env: *env, args: *args}
`)[0]
	services := d.Spec["services"].(map[string]any)
	if !reflect.DeepEqual(services["app"], services["worker"]) {
		t.Errorf("app %v, worker %v", services["app"], services["worker"])
	}
	if got := d.Where("/services/worker/env/LOG"); got.Line != 6 {
		t.Errorf("a value behind an alias is at %+v", got)
	}
}

// TestInvisible refuses what an editor does not show.
func TestInvisible(t *testing.T) {
	head := "apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: acme}\nspec: {node: "
	for name, bad := range map[string]string{
		"line separator":    head + "a\u2028b}\n",
		"next line":         head + "a\u0085b}\n",
		"lone return":       head + "a}\r---\rkind: x\n",
		"control character": head + "a\x07}\n",
		"not UTF-8":         head + "\xff}\n",
		"nul":               head + "\x00}\n",
		"mark inside":       head + "a\ufeff}\n",
	} {
		docs, problems := schema.Parse("x.yaml", []byte(bad))
		if len(docs) != 0 || len(problems) != 1 || problems[0].Pos.Line != 4 || problems[0].Hint == "" {
			t.Errorf("%s: %d documents, %+v", name, len(docs), problems)
		}
	}
	for name, good := range map[string]string{
		"windows lines": strings.ReplaceAll(head+"a}\n", "\n", "\r\n"),
		"leading mark":  "\ufeff" + head + "a}\n",
		"escaped":       head + `"a\u2028b"}` + "\n",
	} {
		docs, problems := schema.Parse("x.yaml", []byte(good))
		if len(docs) != 1 || len(problems) != 0 {
			t.Errorf("%s: %d documents, %+v", name, len(docs), problems)
		}
	}
}

func TestFileSize(t *testing.T) {
	_, problems := schema.Parse("x.yaml", []byte(strings.Repeat("# \n", schema.MaxFileSize/3+1)))
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "bytes") {
		t.Errorf("%+v", problems)
	}
}

func TestConfig(t *testing.T) {
	c, problems := schema.Config("config.yaml", []byte(`
fleet: shop
node: n1
repo:
  url: ssh://git@example.com/plans.git
  interval: 1m30s
  auth: {sshKey: /etc/reconcile/key, knownHosts: /etc/reconcile/known_hosts}
ports: "30000-30999"
drivers:
  docker: {host: unix:///run/x.sock}
  caddy: {listen: ":80"}
parallel: 2
`))
	if len(problems) > 0 {
		t.Fatal(write(problems))
	}
	if c.Fleet != "shop" || c.Repo.Interval != 90*plans.Second || c.Repo.Auth.SSHKey != "/etc/reconcile/key" ||
		c.Drivers.Docker.Host != "unix:///run/x.sock" || c.Drivers.Caddy.Listen != ":80" || c.Parallel != 2 || c.AllowLocal {
		t.Errorf("%+v", c)
	}
	if first, last, err := c.PortRange(); first != 30000 || last != 30999 || err != nil {
		t.Errorf("ports %d-%d: %v", first, last, err)
	}
	if d := c.Defaults(); d.Repo.Branch != "main" || d.Parallel != 2 || d.Ports != "30000-30999" {
		t.Errorf("with defaults: %+v", d)
	}
	for _, bad := range []string{"5-1", "x", "1", "1-70000", "-"} {
		if _, _, err := (schema.HostConfig{Ports: bad}).PortRange(); err == nil {
			t.Errorf("%q is taken as a range of ports", bad)
		}
	}
	if c, problems := schema.Config("empty.yaml", nil); len(problems) != 0 || !reflect.DeepEqual(c, schema.HostConfig{}) {
		t.Errorf("an empty file is %+v, %+v", c, problems)
	}
	if _, problems := schema.Config("two.yaml", []byte("fleet: a\n---\nfleet: b\n")); len(problems) != 1 {
		t.Errorf("a second document: %+v", problems)
	}
}

// TestFloodOfProblems keeps a file that is wrong from end to end from costing
// its length in messages.
func TestFloodOfProblems(t *testing.T) {
	docs, problems := schema.Parse("x.yaml", []byte(strings.Repeat("---\na: 1\n", 100_000)))
	if last := problems[len(problems)-1]; len(docs) != 0 || len(problems) != 201 ||
		last.Pos.Line != 401 || !strings.Contains(last.Text, "99800 more documents") {
		t.Errorf("%d problems, the last %+v", len(problems), problems[len(problems)-1])
	}
}
