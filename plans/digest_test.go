package plans

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write new goldens; an existing digest must never change")

// everyField has each field of a service away from its default.
func everyField() Service {
	return Service{
		Image:        "registry.example.com:5000/a/app:1.0" + digestA,
		Command:      []string{"/bin/app"},
		Args:         []string{"--port={{port}}", "--quote=\"\\\n"},
		Env:          map[string]string{"B": "2", "A": "1 <&>"},
		EnvFrom:      []HostFile{{File: "/etc/s.env", Version: "3"}, {File: "/etc/t.env", Version: "1"}},
		Files:        map[string]File{"/b": {Text: "hello {{slot}}", Mode: "0400"}, "/a": {From: "files/a", Content: []byte{0, 255}}},
		Ports:        map[string]int{"http": 8080, "admin": 9090},
		Publish:      []Publish{{Host: "0.0.0.0", Port: 53, Container: 5353, Protocol: "udp"}, {Port: 1, Container: 2}},
		User:         "1000:1000",
		Workdir:      "/srv",
		Resources:    Resources{Memory: "512M", CPUs: 0.5, Pids: 100},
		Capabilities: []string{"NET_ADMIN", "CHOWN"},
		Privileged:   true,
		Network:      "host",
		Mounts:       map[string]Mount{"/srv/data": {Volume: "data", Path: "sub", ReadOnly: true}},
		Tmpfs:        []string{"/tmp", "/run"},
		Restart:      "onFailure",
		StopSignal:   "SIGINT",
		StopTimeout:  30 * Second,
		Labels:       map[string]string{"a": "b"},
		After:        []string{"db", "cache"},
		Scope:        "tenant",
		Sidecar:      true,
		Active:       "whenRouted",
		Job:          &Job{At: BeforeSwitch, Timeout: 60 * Second},
		Health:       &Health{HTTP: &HTTPProbe{Path: "/health"}, Within: 9 * Second},
	}
}

func goldenServices() map[string]Service {
	return map[string]Service{
		"every field":  everyField(),
		"image alone":  {Image: "app" + digestA},
		"nothing":      {},
		"ports":        {Image: "app" + digestA, Ports: map[string]int{"http": 8080}},
		"a job":        {Image: "app" + digestB, Job: &Job{At: BeforeStart}},
		"inline file":  {Image: "app" + digestB, Files: map[string]File{"/f": {Text: "x"}}},
		"commit file":  {Image: "app" + digestB, Files: map[string]File{"/f": {From: "f", Content: []byte("x")}}},
		"without hash": {Image: "app:latest"},
	}
}

func normalForm(s Service) string {
	var f form
	f.nest('{', '}', func() { f.service(s) })
	return string(f.b)
}

// TestGoldenDigests holds the digests for ever: a change here would make every
// fleet replace everything on the next upgrade of reconcile.
func TestGoldenDigests(t *testing.T) {
	var lines []string
	for name, s := range Sorted(goldenServices()) {
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s", name, s.Digest(), normalForm(s)))
	}
	lines = append(lines, "core\t"+Core{Services: goldenServices()}.Generation())
	lines = append(lines, "empty core\t"+Core{}.Generation())
	tenant := Tenant{
		Name: "acme", ActiveSlot: Green, Drain: DefaultDrain,
		Core:   Core{Services: map[string]Service{"app": everyField()}},
		Idle:   &Core{Services: map[string]Service{"app": {Image: "app" + digestB}}},
		Aside:  map[string]Service{"mail": {Image: "mail" + digestA, Scope: "tenant"}},
		Routes: map[string]*Route{"web": {Hosts: []string{"b.example.com", "a.example.com"}, Service: "app", Path: "/api", Port: "http"}},
	}
	lines = append(lines, fmt.Sprintf("target\t%+v", tenant.Target()))
	tenant.Drain = 5 * Second
	lines = append(lines, fmt.Sprintf("target, other drain\t%+v", tenant.Target()))
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/digests.golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("digests changed:\n%s\nwant:\n%s", got, want)
	}
}

// TestEveryFieldCounts changes one field after the other and sees the digest
// change, except for the two that say how a service is judged.
func TestEveryFieldCounts(t *testing.T) {
	full := everyField()
	base := full.Digest()
	typ := reflect.TypeFor[Service]()
	for i := range typ.NumField() {
		s := full
		reflect.ValueOf(&s).Elem().Field(i).SetZero()
		counts := s.Digest() != base
		if name := typ.Field(i).Name; counts == (name == "Health") {
			t.Errorf("field %s: counts in the digest = %v", name, counts)
		}
	}
	patient := full
	patient.Job = &Job{At: BeforeSwitch}
	if patient.Digest() != base {
		t.Error("a job's timeout counts in the digest")
	}
}

// TestNormalFormIsCanonical holds the hand-written writer to sorted JSON.
func TestNormalFormIsCanonical(t *testing.T) {
	for name, s := range Sorted(goldenServices()) {
		var v any
		text := normalForm(s)
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s: %v: %s", name, err, text)
			continue
		}
		canonical, _ := json.Marshal(v)
		plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\n`, `\u000a`).Replace(string(canonical))
		if plain != text {
			t.Errorf("%s:\n%s\nwant\n%s", name, text, plain)
		}
	}
	h := Health{HTTP: &HTTPProbe{Path: "/", Body: "b", Port: "p", Status: 204, Header: map[string]string{"h": "v"}}, Exec: &ExecProbe{Command: []string{"c"}},
		TCP: &TCPProbe{Port: "p"}, Image: true, Interval: 1, Timeout: 1, Successes: 1, Failures: 1, Within: 1}
	var f form
	f.nest('{', '}', func() { f.health(h) })
	var v map[string]any
	if err := json.Unmarshal(f.b, &v); err != nil {
		t.Fatal(err)
	}
	canonical, _ := json.Marshal(v)
	if string(canonical) != string(f.b) {
		t.Errorf("health: %s\nwant %s", f.b, canonical)
	}
	if len(v) != reflect.TypeFor[Health]().NumField() {
		t.Errorf("health writes %d of %d fields", len(v), reflect.TypeFor[Health]().NumField())
	}
}

func TestDefaultsAreLeftOut(t *testing.T) {
	plain := Service{Image: "app" + digestA, Files: map[string]File{"/f": {Text: "x"}}, Publish: []Publish{{Port: 1, Container: 1}}}
	said := plain
	said.Image = "app:any" + digestA
	said.Restart, said.Network, said.Scope, said.Active, said.StopTimeout = "always", "own", "slot", "always", DefaultStopLimit
	said.Files = map[string]File{"/f": {Text: "x", Mode: "0444"}}
	said.Publish = []Publish{{Host: "127.0.0.1", Port: 1, Container: 1, Protocol: "tcp"}}
	said.Env, said.Args, said.Ports = map[string]string{}, []string{}, map[string]int{}
	if plain.Digest() != said.Digest() {
		t.Errorf("%s\n%s", normalForm(plain), normalForm(said))
	}
	a := Tenant{Drain: DefaultDrain, Core: Core{Services: map[string]Service{"app": plain}}}
	b := Tenant{Drain: DefaultDrain, Core: Core{Services: map[string]Service{"app": said}}}
	b.Core.Services["app"] = func() Service {
		s := said
		s.Health = nil
		return s
	}()
	if a.Target() != b.Target() {
		t.Errorf("%+v\n%+v", a.Target(), b.Target())
	}
}

func TestTarget(t *testing.T) {
	p := resolve(t, Options{}, platform, acme)
	base := p.Tenant("acme").Target()
	change := func(old, new string) Target {
		t.Helper()
		text := strings.Replace(platform, old, new, 1)
		if text == platform {
			t.Fatalf("%q is not in the plan", old)
		}
		return resolve(t, Options{}, text, acme).Tenant("acme").Target()
	}
	if got := change("app:1.0@A", "app:1.1@A"); got != base {
		t.Error("a tag counts")
	}
	for name, c := range map[string]struct {
		old, new string
		differ   func(a, b Target) bool
	}{
		"image":   {"app:1.0@A", "app:1.0@B", func(a, b Target) bool { return a.Core != b.Core && a.Live == b.Live && a.Aside == b.Aside }},
		"probe":   {"path: /health", "path: /ready", func(a, b Target) bool { return a.Core == b.Core && a.Live != b.Live }},
		"aside":   {"mail@B", "mail@A", func(a, b Target) bool { return a.Core == b.Core && a.Aside != b.Aside && a.Live == b.Live }},
		"route":   {"web: {service: app}", "web: {service: app, path: /x}", func(a, b Target) bool { return a.Core == b.Core && a.Live != b.Live }},
		"volume":  {"writes: quiesce", "writes: replay", func(a, b Target) bool { return a == b }},
		"bake":    {"  routes:", "  bake: 5m\n  routes:", func(a, b Target) bool { return a == b }},
		"drain":   {"  routes:", "  drain: 5m\n  routes:", func(a, b Target) bool { return a.Live != b.Live && a.Core == b.Core }},
		"default": {"  routes:", "  drain: 30s\n  bake: 1m\n  activeSlot: auto\n  routes:", func(a, b Target) bool { return a == b }},
	} {
		if got := change(c.old, c.new); !c.differ(base, got) {
			t.Errorf("%s: from %+v to %+v", name, base, got)
		}
	}
	gone := Tenant{Name: "acme", Removed: true, Core: p.Tenant("acme").Core}
	if !gone.Target().Zero() {
		t.Error("a removed tenant has a target")
	}
}

// TestDigestIgnoresOrder makes a service again with its maps and sets filled in
// another order.
func TestDigestIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z/"\\]{1,6}`), 1, 6, rapid.ID)
		env := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "env")
		set := words.Draw(t, "set")
		a := Service{Env: env, After: set, Capabilities: set, Tmpfs: set, Ports: map[string]int{}}
		b := Service{Env: map[string]string{}, Ports: map[string]int{}}
		for _, k := range slices.Backward(slices.Sorted(maps.Keys(env))) {
			b.Env[k] = env[k]
		}
		for i, k := range slices.Backward(set) {
			b.Ports[k], a.Ports[k] = i, i
		}
		b.After = rapid.Permutation(set).Draw(t, "after")
		b.Capabilities = rapid.Permutation(set).Draw(t, "capabilities")
		b.Tmpfs = rapid.Permutation(set).Draw(t, "tmpfs")
		if a.Digest() != b.Digest() {
			t.Fatalf("%s\n%s", normalForm(a), normalForm(b))
		}
		ca, cb := Core{Services: map[string]Service{"a": a, "b": b}}, Core{Services: map[string]Service{"b": a, "a": b}}
		if ca.Generation() != cb.Generation() {
			t.Fatal("generations differ")
		}
	})
}

func TestImageOf(t *testing.T) {
	for in, want := range map[string]string{
		"app:1.0@sha256:a":             "app@sha256:a",
		"app@sha256:a":                 "app@sha256:a",
		"host:5000/app@sha256:a":       "host:5000/app@sha256:a",
		"host:5000/app:latest@sha256:": "host:5000/app@sha256:",
		"app:1.0":                      "app:1.0",
	} {
		if got := imageOf(in); got != want {
			t.Errorf("imageOf(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStoredSpecs(t *testing.T) {
	s := everyField()
	b, err := EncodeService(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeService(b)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("service: %v\n%+v\n%+v", err, got, s)
	}
	c := Core{Services: map[string]Service{"app": s}}
	b, err = EncodeCore(c)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeCore(b)
	if err != nil || !reflect.DeepEqual(back, c) || back.Generation() != c.Generation() {
		t.Errorf("core: %v\n%+v", err, back)
	}
	const file = "testdata/core-v1.json"
	if *update {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := DecodeCore(old); err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("a core stored by version 1: %v\n%+v", err, back)
	}
	for _, bad := range []string{``, `{}`, `{"version":2,"core":{},"service":{}}`, `{"version":1}`} {
		if _, err := DecodeCore([]byte(bad)); err == nil {
			t.Errorf("core %q is read", bad)
		}
		if _, err := DecodeService([]byte(bad)); err == nil {
			t.Errorf("service %q is read", bad)
		}
	}
}
