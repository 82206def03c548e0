package mem_test

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// clock is a host's time, moved by the test.
type clock struct{ now time.Time }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

func host(t *testing.T) (*mem.Host, *clock) {
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	return mem.New(mem.Config{Now: func() time.Time { return c.now }}), c
}

var key = plans.Key{Tenant: "acme", Slot: plans.Blue, Service: "app"}

// start runs an instance of the image under key.
func start(t *testing.T, h *mem.Host, image string, port int) {
	t.Helper()
	rt := h.Runtime()
	if err := rt.Pull(t.Context(), image, nil); err != nil {
		t.Fatal(err)
	}
	want := plans.Instance{Key: key, Digest: "s1:1", Generation: "g1:1", Routed: true,
		Spec: plans.Service{Image: image}, Ports: map[string]int{"http": port}}
	if err := rt.Start(t.Context(), "1", want); err != nil {
		t.Fatal(err)
	}
}

func only(t *testing.T, h *mem.Host) observed.Instance {
	t.Helper()
	seen, _, err := h.Runtime().Observe(t.Context(), key.Tenant)
	if err != nil || len(seen) != 1 {
		t.Fatalf("%d instances, %v", len(seen), err)
	}
	return seen[0]
}

// A crash loop is what an engine makes of it: each wait twice the one before.
func TestCrashLoop(t *testing.T) {
	h, c := host(t)
	h.SetImage("crash", mem.Image{Exits: true, Exit: time.Second, Code: 2})
	start(t, h, "crash", 1)
	for _, want := range []struct {
		after    time.Duration
		restarts int
		running  bool
	}{
		{0, 0, true},
		{time.Second, 0, false},
		{100 * time.Millisecond, 1, true},
		{time.Second, 1, false},
		{200 * time.Millisecond, 2, true},
		{time.Hour, 60, true}, // about once a minute by then
	} {
		c.pass(want.after)
		i := only(t, h)
		if want.restarts == 60 {
			if i.Restarts < 50 || i.Restarts > 70 {
				t.Errorf("after an hour: %d restarts", i.Restarts)
			}
			continue
		}
		if i.Restarts != want.restarts || (i.Phase == observed.Running) != want.running || i.Restarting == want.running {
			t.Errorf("after %s more: %s, %d restarts, restarting %v", want.after, i.Phase, i.Restarts, i.Restarting)
		}
	}
}

// Who is killed by a person stays down; who dies by itself comes back.
func TestKillAndCrash(t *testing.T) {
	h, c := host(t)
	start(t, h, "app", 1)
	h.Crash(key, 1)
	c.pass(time.Minute)
	if i := only(t, h); i.Phase != observed.Running || i.Restarts != 1 {
		t.Errorf("after a crash: %+v", i)
	}
	h.Kill(key)
	c.pass(time.Minute)
	if i := only(t, h); i.Phase != observed.Exited || i.Exit != 137 {
		t.Errorf("after a kill: %+v", i)
	}
}

// How images answer their probes over time.
func TestImages(t *testing.T) {
	for _, k := range []struct {
		name  string
		image mem.Image
		well  string // each second: + well, - badly, . not at all
	}{
		{"healthy", mem.Image{}, "+++++"},
		{"slow", mem.Image{HealthyAfter: 2 * time.Second}, "..+++"},
		{"created slowly", mem.Image{Create: 2 * time.Second}, "..+++"},
		{"sick", mem.Image{Sick: true}, "-----"},
		{"sick later", mem.Image{SickAfter: 3 * time.Second}, "+++--"},
		{"flapping", mem.Image{Flap: 2 * time.Second}, "++--+"},
	} {
		t.Run(k.name, func(t *testing.T) {
			h, c := host(t)
			h.SetImage("image", k.image)
			start(t, h, "image", 7)
			got := ""
			for range k.well {
				out, err := h.Prober().Probe(t.Context(), drivers.ProbeTarget{Key: key, Health: plans.Health{HTTP: &plans.HTTPProbe{Path: "/"}}, Ports: map[string]int{"http": 7}})
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case out.OK:
					got += "+"
				case h.Answers(7):
					got += "-"
				default:
					got += "."
				}
				c.pass(time.Second)
			}
			if got != k.well {
				t.Errorf("answers %q, want %q", got, k.well)
			}
		})
	}
}

// A write is in the data from when an instance got the request, and a clone has
// what its snapshot had.
func TestWrites(t *testing.T) {
	h, _ := host(t)
	st, rt := h.Storage(), h.Runtime()
	order := drivers.VolumeOrder{Tenant: "acme", Name: "data", Slot: plans.Blue, Role: observed.Live, Attempt: "a1"}
	d, err := st.Create(t.Context(), "1", order)
	if err != nil {
		t.Fatal(err)
	}
	if err := rt.Pull(t.Context(), "app", nil); err != nil {
		t.Fatal(err)
	}
	err = rt.Start(t.Context(), "1", plans.Instance{Key: key, Spec: plans.Service{Image: "app"}, Ports: map[string]int{"http": 9},
		Volumes: map[string]plans.Bind{"/data": {Host: d.Path}}})
	if err != nil {
		t.Fatal(err)
	}
	e := plans.Entry{Tenant: "acme", Slot: plans.Blue, Routes: []plans.EntryRoute{{Host: "a.test", Path: "/",
		Address: map[plans.Slot]string{plans.Blue: "127.0.0.1:9"}}}}
	if _, err := h.Router().Set(t.Context(), "1", e, 0); err != nil {
		t.Fatal(err)
	}
	h.Send("POST", "a.test", "/", 1)
	h.Send("GET", "a.test", "/", 2)
	snaps, err := st.Snapshot(t.Context(), "1", "a2", []string{d.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.Send("POST", "a.test", "/", 3)
	order.Slot, order.Attempt = plans.Green, "a2"
	clone, err := st.Clone(t.Context(), "1", snaps[0].ID, order, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(h.Content(d.ID), h.Content(clone.ID)); got != "[1 3] [1]" {
		t.Errorf("live and clone hold %s, want [1 3] [1]", got)
	}
	if err := st.Destroy(t.Context(), "1", d.ID); observed.ClassOf(err) != observed.Refused {
		t.Errorf("a mounted dataset was destroyed: %v", err)
	}
}

// Load makes on another host what was seen on this one.
func TestLoad(t *testing.T) {
	h, _ := host(t)
	start(t, h, "app@1", 9)
	e := plans.Entry{Tenant: "acme", Slot: plans.Blue, Routes: []plans.EntryRoute{{Host: "a.test", Path: "/",
		Address: map[plans.Slot]string{plans.Blue: "127.0.0.1:9"}}}, Hold: &plans.Hold{ID: "h", Limit: plans.Second}}
	if _, err := h.Router().Set(t.Context(), "1", e, 0); err != nil {
		t.Fatal(err)
	}
	d, err := h.Storage().Create(t.Context(), "1", drivers.VolumeOrder{Tenant: "acme", Name: "data", Role: observed.Live})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Storage().Snapshot(t.Context(), "1", "a1", []string{d.ID}, nil); err != nil {
		t.Fatal(err)
	}
	h.Foreign(plans.Key{Tenant: "acme", Slot: plans.Green, Service: "app"}, "container x")
	seen := h.Truth("acme")

	other, _ := host(t)
	other.Load("acme", &seen)
	again := other.Truth("acme")
	if !reflect.DeepEqual(seen, again) {
		t.Errorf("loaded\n%+v\nfrom\n%+v", again, seen)
	}
	other.Load("acme", &seen)
	if again = other.Truth("acme"); !reflect.DeepEqual(seen, again) {
		t.Errorf("loaded twice\n%+v\nfrom\n%+v", again, seen)
	}
	if there, err := other.Runtime().Present(t.Context(), "app@1"); err != nil || !there {
		t.Errorf("the image of what runs is not there (%v)", err)
	}
	if a, err := other.Router().Check(t.Context(), "a.test", "/"); err != nil || a.Slot != plans.Blue || a.Status != 200 {
		t.Errorf("a marked request says %+v, %v", a, err)
	}
	// A load is what was, not what we do: no write is counted.
	for part, n := range other.Writes() {
		if n != 0 {
			t.Errorf("%d writes to the %s", n, part)
		}
	}
}

// Calls are counted, and only those that may write.
func TestWriteCount(t *testing.T) {
	h, _ := host(t)
	start(t, h, "app", 1) // a pull and a start
	only(t, h)
	if _, _, err := h.Router().Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := h.Writes()[mem.PartRuntime]; got != 2 {
		t.Errorf("%d writes to the runtime, want 2", got)
	}
	if got := h.Writes()[mem.PartRouter]; got != 0 {
		t.Errorf("%d writes to the router, want 0", got)
	}
}

// A part that is down changes nothing and blames nobody.
func TestDown(t *testing.T) {
	h, _ := host(t)
	start(t, h, "app", 1)
	h.Down(mem.PartRuntime, true)
	if err := h.Runtime().Stop(t.Context(), "1", key, 0); observed.ClassOf(err) != observed.Environment {
		t.Errorf("stop: %v", err)
	}
	h.Down(mem.PartRuntime, false)
	if i := only(t, h); i.Phase != observed.Running {
		t.Errorf("it was stopped: %+v", i)
	}
	h.Down(mem.PartRegistry, true)
	if err := h.Runtime().Pull(t.Context(), "other", nil); observed.ClassOf(err) != observed.Environment {
		t.Errorf("pull: %v", err)
	}
	if err := h.Runtime().Pull(t.Context(), "app", nil); err != nil {
		t.Errorf("pull of what is here: %v", err)
	}
}

// BenchmarkTenants reports what a loaded tenant of two instances, a route and a
// dataset takes.
func BenchmarkTenants(b *testing.B) {
	const tenants = 10_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		h := mem.New(mem.Config{Now: time.Now})
		for n := range tenants {
			name := fmt.Sprintf("tenant-%d", n)
			at := func(service string) observed.Instance {
				return observed.Instance{Key: plans.Key{Tenant: name, Slot: plans.Blue, Service: service}, ID: name + service,
					Phase: observed.Running, Image: "sha256:1", Ports: map[string]int{"http": n}}
			}
			h.Load(name, &observed.Tenant{
				Instances: []observed.Instance{at("app"), at("worker")},
				Route: observed.Route{Revision: 1, Entry: plans.Entry{Tenant: name, Slot: plans.Blue, Routes: []plans.EntryRoute{{Host: name + ".test", Path: "/",
					Address: map[plans.Slot]string{plans.Blue: "127.0.0.1:1"}}}}},
				Datasets: []observed.Dataset{{ID: name + "/data", Tenant: name, Volume: "data", Role: observed.Live, Ready: true}},
			})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/tenants, "B/tenant")
		runtime.KeepAlive(h)
	}
}

// On a full disk nothing new is begun or made whole, and what is there goes on.
func TestFullDisk(t *testing.T) {
	h, _ := host(t)
	start(t, h, "app", 1)
	rt, st, ctx := h.Runtime(), h.Storage(), t.Context()
	order := drivers.VolumeOrder{Tenant: key.Tenant, Name: "data", Slot: plans.Blue, Attempt: "a1", Role: observed.Live}
	live, err := st.Create(ctx, "1", order)
	if err != nil {
		t.Fatal(err)
	}
	h.SetFree(0)
	full := func(what string, err error) {
		t.Helper()
		if p := observed.Wrap("", "", "none", err, ""); err == nil || p.Class != observed.Environment || p.Hint == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	other := plans.Instance{Key: plans.Key{Tenant: "acme", Slot: plans.Green, Service: "app"}, Spec: plans.Service{Image: "app"}}
	full("pull", rt.Pull(ctx, "another", nil))
	full("start", rt.Start(ctx, "1", other))
	_, err = st.Snapshot(ctx, "1", "a2", []string{live.ID}, nil)
	full("snapshot", err)
	if again, err := st.Create(ctx, "1", order); err != nil || !again.Ready {
		t.Errorf("what is there is not there any more: %+v, %v", again, err)
	}
	if err := rt.Stop(ctx, "1", key, 0); err != nil {
		t.Error(err)
	}
	if err := rt.Start(ctx, "1", plans.Instance{Key: key, Digest: "s1:1", Generation: "g1:1", Spec: plans.Service{Image: "app"}, Ports: map[string]int{"http": 1}}); err != nil {
		t.Errorf("what was there does not start again: %v", err)
	}
	h.SetFree(1)
	snap, err := st.Snapshot(ctx, "1", "a2", []string{live.ID}, nil)
	if err != nil || len(snap) != 1 || !snap[0].Ready {
		t.Errorf("there is room again: %+v, %v", snap, err)
	}
	order.Slot, order.Attempt = plans.Green, "a2"
	h.SetFree(0)
	_, err = st.Clone(ctx, "1", snap[0].ID, order, nil)
	full("clone", err)
	all, err := st.Observe(ctx, key.Tenant)
	if err != nil || len(all) != 3 || !all[0].Ready && !all[1].Ready {
		t.Fatalf("%+v, %v", all, err)
	}
	half := ""
	for _, d := range all {
		if !d.Ready {
			half = d.ID
		}
	}
	if err := st.Destroy(ctx, "1", half); half == "" || err != nil {
		t.Errorf("%q cannot be destroyed: %v", half, err)
	}
}
