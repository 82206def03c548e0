package plans

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func order(s Service) InstanceOrder {
	return InstanceOrder{
		Fleet: "test", Node: "n1", Commit: "c1", Slot: Green, Name: "app", Service: s, Generation: "g1:x", Attempt: "a1", Routed: true,
		Port: func(k Key, name string) int {
			return map[string]int{"acme/green/app/http": 20001, "acme/green/app/admin": 20002}[k.String()+"/"+name]
		},
		Paths: map[string]string{"data": "/volumes/acme/data/"},
	}
}

func TestInstance(t *testing.T) {
	tenant := Tenant{Name: "acme", Labels: map[string]string{"zone": "eu"}}
	s := Service{
		Ports:   map[string]int{"http": 80, "admin": 81},
		Command: []string{"run", "{{ slot }}"},
		Args:    []string{"--port={{port}}", "--admin={{port.admin}}", "{{{{tenant}}", "}}"},
		Env:     map[string]string{"A": "{{tenant}}-{{node}}-{{label.zone}}", "PLAIN": "x"},
		EnvFrom: []HostFile{{File: "/etc/plain"}, {File: "/etc/{{slot}}"}},
		Files: map[string]File{
			"/a": {Text: "slot {{slot}}"}, "/b": {From: "b", Content: []byte("{{kept}}")}, "/c": {Text: "plain"},
		},
		Labels: map[string]string{"slot": "{{slot}}"},
		Mounts: map[string]Mount{"/data": {Volume: "data"}, "/sub": {Volume: "data", Path: "x/y", ReadOnly: true}},
		Health: &Health{HTTP: &HTTPProbe{Path: "/{{slot}}", Header: map[string]string{"Host": "{{tenant}}"}}},
	}
	before := reflect.ValueOf(s).Interface().(Service)
	digest := s.Digest()
	in, err := tenant.Instance(order(s))
	if err != nil {
		t.Fatal(err)
	}
	want := Service{
		Ports:   s.Ports,
		Command: []string{"run", "green"},
		Args:    []string{"--port=20001", "--admin=20002", "{{tenant}}", "}}"},
		Env:     map[string]string{"A": "acme-n1-eu", "PLAIN": "x"},
		EnvFrom: []HostFile{{File: "/etc/plain"}, {File: "/etc/green"}},
		Files: map[string]File{
			"/a": {Text: "slot green", Digest: contentDigest([]byte("slot green"))}, "/b": {From: "b", Text: "{{kept}}"}, "/c": {Text: "plain"},
		},
		Labels: map[string]string{"slot": "green"},
		Mounts: s.Mounts,
		Health: &Health{HTTP: &HTTPProbe{Path: "/green", Header: map[string]string{"Host": "acme"}}},
	}
	if !reflect.DeepEqual(in.Spec, want) {
		t.Errorf("spec\n%+v\nwant\n%+v", in.Spec, want)
	}
	if in.Key != (Key{"acme", Green, "app"}) || in.Digest != digest || in.Generation != "g1:x" || in.Attempt != "a1" || !in.Routed || in.Commit != "c1" {
		t.Errorf("%+v", in)
	}
	if in.Ports["http"] != 20001 || in.Ports["admin"] != 20002 {
		t.Errorf("ports %v", in.Ports)
	}
	if in.Volumes["/data"] != (Bind{Host: "/volumes/acme/data/"}) || in.Volumes["/sub"] != (Bind{Host: "/volumes/acme/data/x/y", ReadOnly: true}) {
		t.Errorf("volumes %v", in.Volumes)
	}
	if !reflect.DeepEqual(before, s) || s.Digest() != digest {
		t.Error("the service was changed")
	}
}

func TestInstanceErrors(t *testing.T) {
	tenant := Tenant{Name: "acme"}
	_, err := tenant.Instance(order(Service{
		Ports:  map[string]int{"other": 80},
		Mounts: map[string]Mount{"/data": {Volume: "nowhere"}},
		Env:    map[string]string{"A": "{{label.zone}}"},
		Health: &Health{Exec: &ExecProbe{Command: []string{"{{"}}},
	}))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"order acme/green/app: ", "port other: no host port", `volume "nowhere" has no place`, "{{label.zone}} is not known", "never closes it"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if _, err := tenant.Instance(InstanceOrder{Service: Service{Ports: map[string]int{"a": 1}}}); err == nil {
		t.Error("without a way to choose ports there is none")
	}
}

// TestLabelsAreNotExpandedAgain keeps a label's {{ as it is through both steps.
func TestLabelsAreNotExpandedAgain(t *testing.T) {
	text := strings.Replace(service(`env: {A: "{{label.tier}}{{slot}}"}`), "tier: gold", `tier: "{{tenant}}"`, 1)
	a := resolve(t, Options{}, fleet, text).Tenant("solo")
	in, err := a.Instance(InstanceOrder{Slot: Blue, Name: "app", Service: a.Core.Services["app"]})
	if err != nil || in.Spec.Env["A"] != "{{tenant}}blue" {
		t.Errorf("%v %v", in.Spec.Env, err)
	}
}

func TestEntry(t *testing.T) {
	tenant := Tenant{
		Name: "acme",
		Core: Core{Services: map[string]Service{"app": {Ports: map[string]int{"web": 80}}}},
		Aside: map[string]Service{
			"mail": {Scope: "tenant", Ports: map[string]int{"http": 80, "x": 1}},
		},
		Routes: map[string]*Route{
			"web":  {Hosts: []string{"b.example.com", "a.example.com"}, Service: "app"},
			"mail": {Hosts: []string{"a.example.com"}, Path: "/mail", Service: "mail"},
		},
	}
	port := func(k Key, name string) int {
		return map[string]int{"acme/blue/app/web": 1, "acme/green/app/web": 2, "acme/tenant/mail/http": 3}[k.String()+"/"+name]
	}
	got := tenant.Entry(Blue, []Slot{Blue, Green}, port)
	app := map[Slot]string{Blue: "127.0.0.1:1", Green: "127.0.0.1:2"}
	want := Entry{Tenant: "acme", Slot: Blue, Routes: []EntryRoute{
		{Host: "a.example.com", Path: "/", Service: "app", Address: app},
		{Host: "a.example.com", Path: "/mail", Service: "mail", Address: map[Slot]string{Blue: "127.0.0.1:3", Green: "127.0.0.1:3"}},
		{Host: "b.example.com", Path: "/", Service: "app", Address: app},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant\n%+v", got, want)
	}
	none := tenant.Entry(NoSlot, []Slot{Blue}, func(Key, string) int { return 0 })
	if len(none.Routes) != 3 || len(none.Routes[0].Address) != 0 || none.Slot != NoSlot {
		t.Errorf("%+v", none)
	}
}

func TestStartOrder(t *testing.T) {
	got := StartOrder(map[string]Service{
		"a": {After: []string{"z", "elsewhere"}}, "b": {}, "z": {After: []string{"m"}}, "m": {},
		"c1": {After: []string{"c2"}}, "c2": {After: []string{"c1"}},
	})
	if want := []string{"b", "m", "z", "a", "c1", "c2"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]string{"90s": "1m30s", "1d12h": "36h0m0s", "7d": "168h0m0s", "0s": "0s"} {
		if d, err := ParseDuration(text); err != nil || d.String() != want {
			t.Errorf("%s: %v %v", text, d, err)
		}
	}
	for _, text := range []string{"", "5", "-1s", "-1d", "xd", "1d-1h", "soon"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, d)
		}
	}
	var d Duration
	if err := d.UnmarshalJSON([]byte(`5`)); err == nil {
		t.Error("a number is read as a duration")
	}
	if err := d.UnmarshalJSON([]byte(`"x"`)); err == nil {
		t.Error("x is read as a duration")
	}
}

func TestSlotOther(t *testing.T) {
	if NoSlot.Other() != Blue || Blue.Other() != Green || Green.Other() != Blue {
		t.Error("the first slot is blue, and the other of each is the other")
	}
}
