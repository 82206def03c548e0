// Package memtest is the harness of the host in memory for the suites of
// drivertest, bare or under a decorator.
package memtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Option says more about the host of a suite.
type Option func(*run)

// WallClock has the host go by the wall clock, which is a virtual one in a bubble
// of testing/synctest. Without it the host has a clock of its own.
func WallClock(r *run) { r.wall = true }

// bench is the host of a suite, with a clock that the suite's waiting moves.
type bench struct {
	*mem.Host
	mu       sync.Mutex
	time     time.Time // of its own clock
	wall     bool
	port     int
	versions map[int]string
}

func newBench(traits drivers.Traits, wall bool) *bench {
	b := &bench{wall: wall, time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), port: 20000, versions: map[int]string{}}
	b.Host = mem.New(mem.Config{Now: b.now, Traits: traits})
	b.SetImage("missing", mem.Image{Missing: true})
	b.SetImage("otherPlatform", mem.Image{OtherPlatform: true})
	b.SetImage("exit0", mem.Image{Log: "done", Exit: 100 * time.Millisecond})
	b.SetImage("exit3", mem.Image{Log: "broken", Exit: 100 * time.Millisecond, Code: 3})
	b.SetImage("serve", mem.Image{Create: 20 * time.Millisecond, HealthyAfter: 50 * time.Millisecond})
	return b
}

func (b *bench) now() time.Time {
	if b.wall {
		return time.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.time
}

func (b *bench) tick() {
	const beat = 10 * time.Millisecond
	if b.wall {
		time.Sleep(beat)
	} else {
		b.mu.Lock()
		b.time = b.time.Add(beat)
		b.mu.Unlock()
	}
	b.Tick()
}

// run gives each test its own bench.
type run struct {
	traits drivers.Traits
	wall   bool
	last   *bench
}

func newRun(traits drivers.Traits, options []Option) *run {
	r := &run{traits: traits}
	for _, set := range options {
		set(r)
	}
	return r
}

func (r *run) fresh(t *testing.T) *bench {
	r.last = newBench(r.traits, r.wall)
	return r.last
}

// Runtime is the harness of a runtime on a host in memory, each decorated by wrap.
func Runtime(traits drivers.Traits, wrap func(drivers.Runtime) drivers.Runtime, options ...Option) drivertest.Runtime {
	r := newRun(traits, options)
	return drivertest.Runtime{
		Clock: drivertest.Clock{Tick: func() { r.last.tick() }},
		New:   func(t *testing.T) drivers.Runtime { return wrap(r.fresh(t).Runtime()) },
		Image: func(t *testing.T, kind drivertest.Image) string {
			if kind == drivertest.Unreachable {
				r.last.Down(mem.PartRegistry, true)
			}
			return "registry.test/" + string(kind) + "@" + string(kind)
		},
		Reopen: func(t *testing.T) drivers.Runtime { return wrap(r.last.Runtime()) },
		Foreign: func(t *testing.T, key plans.Key) func() error {
			r.last.Host.Foreign(key, "container suite")
			return func() error {
				if r.last.ForeignAt(key) == "" {
					return errors.New("the foreign object is gone")
				}
				return nil
			}
		},
		Crash:  func(t *testing.T, key plans.Key) { r.last.Crash(key, 137) },
		Reboot: func(t *testing.T) drivers.Runtime { r.last.Host.Reboot(); return wrap(r.last.Runtime()) },
		Port:   func(t *testing.T) int { r.last.port++; return r.last.port },
		Edit: func(t *testing.T, want *plans.Instance) {
			if port := want.Ports["http"]; port != 0 {
				r.last.versions[port] = want.Spec.Env["VERSION"]
			}
		},
		Get: func(t *testing.T, port int, path string) (int, string, error) {
			if !r.last.Answers(port) {
				return 0, "", fmt.Errorf("port %d: connection refused", port)
			}
			return 200, r.last.versions[port], nil
		},
	}
}

// Router is the harness of a router on a host in memory, each decorated by wrap.
func Router(wrap func(drivers.Router) drivers.Router, options ...Option) drivertest.Router {
	r := newRun(drivers.Traits{}, options)
	released := map[string]bool{} // by backend address
	return drivertest.Router{
		Clock:   drivertest.Clock{Tick: func() { r.last.tick() }},
		New:     func(t *testing.T) drivers.Router { return wrap(r.fresh(t).Router()) },
		Reopen:  func(t *testing.T) drivers.Router { return wrap(r.last.Router()) },
		Restart: func(t *testing.T) { r.last.RestartProxy() },
		Backend: func(t *testing.T, name string) drivertest.Backend {
			b := r.last
			b.port++
			key := plans.Key{Tenant: name, Slot: plans.Shared, Service: fmt.Sprint(b.port)}
			image := "backend@" + name
			if err := b.Runtime().Pull(t.Context(), image, nil); err != nil {
				t.Fatal(err)
			}
			err := b.Runtime().Start(t.Context(), "1", plans.Instance{
				Key: key, Spec: plans.Service{Image: image}, Ports: map[string]int{"http": b.port},
			})
			if err != nil {
				t.Fatal(err)
			}
			address := fmt.Sprintf("127.0.0.1:%d", b.port)
			b.versions[b.port] = name
			released[address] = false
			return drivertest.Backend{Address: address, Release: func() { released[address] = true }, Close: func() { b.Kill(key) }}
		},
		Send: func(t *testing.T, method, host, path string) drivertest.Call {
			path, _, _ = strings.Cut(path, "?")
			q := r.last.Send(method, host, path, 1)
			return func() (drivertest.Response, bool) {
				ended, status, _ := q.Status()
				if port := q.Port(); !ended && port != 0 && (!strings.Contains(path, "/slow") || released[fmt.Sprintf("127.0.0.1:%d", port)]) {
					status, ended = q.Finish(), true
				}
				res := drivertest.Response{Status: status, Body: r.last.versions[q.Port()]}
				if status == 503 {
					res.RetryAfter = "1"
				}
				return res, ended
			}
		},
	}
}

// Storage is the harness of a storage on a host in memory, each decorated by wrap.
func Storage(wrap func(drivers.Storage) drivers.Storage, options ...Option) drivertest.Storage {
	r := newRun(drivers.Traits{}, options)
	files := map[string]string{} // what the content's ids stand for
	text := func(d observed.Dataset, name string) string {
		for _, id := range slices.Backward(r.last.Content(d.ID)) {
			if f, text, _ := strings.Cut(files[fmt.Sprint(id)], "="); f == name {
				return text
			}
		}
		return ""
	}
	return drivertest.Storage{
		New: func(t *testing.T) drivers.Storage { return wrap(r.fresh(t).Storage()) },
		Volume: func(t *testing.T, tenant, name string) plans.Volume {
			return plans.Volume{Source: "pool/" + tenant + "/" + name}
		},
		Reopen: func(t *testing.T) drivers.Storage { return wrap(r.last.Storage()) },
		Write: func(t *testing.T, d observed.Dataset, name, text string) {
			id := uint64(len(files) + 1)
			files[fmt.Sprint(id)] = name + "=" + text
			r.last.Write(d.ID, id)
		},
		Read: func(t *testing.T, d observed.Dataset, name string) string { return text(d, name) },
		Foreign: func(t *testing.T, want drivers.VolumeOrder) func() error {
			r.last.ForeignData(want.Tenant, want.Name, true)
			return func() error { return nil }
		},
		Use: func(t *testing.T, d observed.Dataset) func() {
			r.last.Use(d.ID, "somebody")
			return func() { r.last.Use(d.ID, "") }
		},
		BreakClone: func(t *testing.T, s drivers.Storage, snapshot string, want drivers.VolumeOrder) drivers.Storage {
			r.last.HalfMade(1)
			if _, err := s.Clone(t.Context(), "1", snapshot, want, nil); err == nil {
				t.Fatal("the clone was not broken")
			}
			return wrap(r.last.Storage())
		},
		BreakDestroy: func(t *testing.T, s drivers.Storage, id string) drivers.Storage {
			r.last.HalfDestroyed(1)
			if err := s.Destroy(t.Context(), "1", id); err == nil {
				t.Fatal("the destroy was not broken")
			}
			return wrap(r.last.Storage())
		},
	}
}

// Prober is the harness of a prober on a host in memory, each decorated by wrap.
func Prober(wrap func(drivers.Prober) drivers.Prober, options ...Option) drivertest.Prober {
	r := newRun(drivers.Traits{}, options)
	return drivertest.Prober{
		Loose: true,
		Blind: func(t *testing.T) { r.last.Down(mem.PartProber, true) },
		New: func(t *testing.T) (drivers.Prober, func(drivertest.Manner) (plans.Key, map[string]int)) {
			b := r.fresh(t)
			return wrap(b.Prober()), func(m drivertest.Manner) (plans.Key, map[string]int) {
				key := plans.Key{Tenant: "suite", Slot: plans.Blue, Service: "app"}
				ports := map[string]int{"http": 20000}
				b.SetImage("sick", mem.Image{Sick: true})
				b.SetImage("closed", mem.Image{HealthyAfter: time.Hour})
				switch m {
				case drivertest.Silent:
					return key, nil
				case drivertest.Gone:
					return key, ports
				}
				image := "prober@" + string(m)
				if err := b.Runtime().Pull(t.Context(), image, nil); err != nil {
					t.Fatal(err)
				}
				if err := b.Runtime().Start(t.Context(), "1", plans.Instance{Key: key, Spec: plans.Service{Image: image}, Ports: ports}); err != nil {
					t.Fatal(err)
				}
				if m == drivertest.Other {
					b.TakePort(20000, "pid 7")
				}
				return key, ports
			}
		},
	}
}
