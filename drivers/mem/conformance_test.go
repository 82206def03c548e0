package mem_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
)

// bench is the host of a suite, with a clock that the suite's waiting moves.
type bench struct {
	*mem.Host
	mu       sync.Mutex
	time     time.Time
	port     int
	versions map[int]string
}

func newBench(traits drivers.Traits) *bench {
	b := &bench{time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), port: 20000, versions: map[int]string{}}
	b.Host = mem.New(mem.Config{Now: b.now, Traits: traits})
	b.SetImage("missing", mem.Image{Missing: true})
	b.SetImage("otherPlatform", mem.Image{OtherPlatform: true})
	b.SetImage("exit0", mem.Image{Log: "done", Exit: 100 * time.Millisecond})
	b.SetImage("exit3", mem.Image{Log: "broken", Exit: 100 * time.Millisecond, Code: 3})
	b.SetImage("serve", mem.Image{Create: 20 * time.Millisecond, HealthyAfter: 50 * time.Millisecond})
	return b
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.time
}

func (b *bench) tick() {
	b.mu.Lock()
	b.time = b.time.Add(10 * time.Millisecond)
	b.mu.Unlock()
	b.Tick()
}

// run gives each test its own bench.
type run struct {
	traits drivers.Traits
	last   *bench
}

func (r *run) fresh(t *testing.T) *bench {
	r.last = newBench(r.traits)
	return r.last
}

func runtimeHarness(traits drivers.Traits, wrap func(drivers.Runtime) drivers.Runtime) drivertest.Runtime {
	r := &run{traits: traits}
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

func plain[T any](d T) T { return d }

func TestRuntime(t *testing.T) {
	drivertest.RunRuntime(t, runtimeHarness(mem.AllTraits, plain))
}

// A runtime whose instances do not come back by themselves, on the host's network.
func TestRuntimeWithoutEngine(t *testing.T) {
	drivertest.RunRuntime(t, runtimeHarness(drivers.Traits{Name: "mem"}, plain))
}
