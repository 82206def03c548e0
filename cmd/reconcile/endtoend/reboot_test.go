package endtoend

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/caddy"
)

// The engine restarts while the reconciler is down: exactly the active slots
// come up again, by themselves, and each host name is its own tenant's.
func TestEngineRestartsAlone(t *testing.T) {
	w := newWorld(t, engine)
	e := shop.Engine(t)
	f := fleet{name: w.name, image: w.image("1.0", nil), tenants: []string{"ant", "bee", "cat"}}
	w.commit("three tenants", f.files())
	w.pass(0)
	f.image = w.image("1.1", nil)
	w.commit("upgraded, the old slots are kept", map[string]string{"app.yaml": f.template()})
	w.pass(0)
	want := w.runningContainers()

	for _, end := range []struct {
		name string
		end  func() error
	}{{"stopped", e.Shutdown}, {"killed", e.Kill}, {"power lost", e.PowerLoss}} {
		w.must(end.end())
		began := time.Now()
		w.must(e.Restart(w.ctx))
		for _, tenant := range f.tenants {
			w.until(tenant+" serves again", 30*time.Second, func() string {
				if _, err := w.Ask(w.ctx, host(tenant), "/"); err != nil {
					return err.Error()
				}
				return ""
			})
			w.answers(tenant, "1.1")
		}
		t.Logf("engine %-10s all serve %s after it was started again", end.name, round(time.Since(began)))
		if got := w.runningContainers(); !slices.Equal(got, want) {
			t.Errorf("engine %s: %v run, not %v", end.name, got, want)
		}
		if r := w.pass(0); strings.Contains(r.Stdout, "tenant.switched") {
			t.Errorf("engine %s: the pass after it switched:\n%s", end.name, r.Stdout)
		}
		if got := w.runningContainers(); !slices.Equal(got, want) {
			t.Errorf("engine %s, after a pass: %v run, not %v", end.name, got, want)
		}
	}
	w.clear(f.tenants...)
}

// runningContainers are the names of those of this world that run.
func (w *world) runningContainers() []string {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, "docker", "ps", "--format", "{{.Names}}", "--filter", "label=reconcile.node="+w.Node)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+w.DockerHost)
	out, err := cmd.Output()
	w.must(err)
	names := strings.Fields(string(out))
	slices.Sort(names)
	return names
}

// The machine reboots in a bake: the new slot is the routed one, it comes up
// again, and its bake begins anew and ends well.
func TestRebootInBake(t *testing.T) {
	t.Parallel()
	w := chaosWorld(t, process)
	f := fleet{name: w.name, image: w.image("1.0", nil), tenants: []string{"ant"}, bake: "1s"}
	w.commit("ant on 1.0", f.files())
	w.pass(0)
	f.image = w.image("1.1", nil)
	w.commit("ant on 1.1", map[string]string{"app.yaml": f.template()})
	if !w.killedAt("bake/commit/after") {
		t.Fatal("the bake ended before the host did")
	}
	w.answers("ant", "1.1")
	w.reboot()
	began := time.Now()
	w.pass(0)
	t.Logf("reboot in bake: past its bake %s after the start", round(time.Since(began)))
	w.answers("ant", "1.1")
	w.onlyActiveRuns("ant")
	w.clear("ant")
}

// The machine reboots in a soak: the new slot serves, the old one stays down
// and is still the way back.
func TestRebootInSoak(t *testing.T) {
	t.Parallel()
	w := newWorld(t, process)
	f := fleet{name: w.name, image: w.image("1.0", nil), tenants: []string{"ant", "bee"}}
	w.commit("on 1.0", f.files())
	w.pass(0)
	old := f.image
	f.image = w.image("1.1", nil)
	w.commit("on 1.1", map[string]string{"app.yaml": f.template()})
	w.pass(0)
	w.reboot()
	began := time.Now()
	w.pass(0)
	for _, tenant := range f.tenants {
		w.answers(tenant, "1.1")
		w.onlyActiveRuns(tenant)
	}
	t.Logf("reboot in soak: all serve %s after the start", round(time.Since(began)))

	f.image = old
	w.commit("back to 1.0", map[string]string{"app.yaml": f.template()})
	if r := w.pass(0); strings.Contains(r.Stdout, "pull") {
		t.Errorf("going back pulled:\n%s", r.Stdout)
	}
	for _, tenant := range f.tenants {
		w.answers(tenant, "1.0")
	}
	w.clear(f.tenants...)
}

// reboot ends everything of the stage at once. The proxy's unit starts it again,
// as nothing does for instances of the embedded runtime.
func (w *world) reboot() {
	w.t.Helper()
	w.until("everything is down", 10*time.Second, func() string {
		all, err := w.Processes()
		w.must(err)
		for _, p := range all {
			_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may have ended meanwhile
		}
		if len(all) > 0 {
			return all[0].Command
		}
		return ""
	})
	_, err := caddy.Start(w.ctx, w.TheProxy())
	w.must(err)
}

// onlyActiveRuns wants just the active slot's instance of a tenant to run.
func (w *world) onlyActiveRuns(tenant string) {
	w.t.Helper()
	all, err := w.Processes()
	w.must(err)
	var shims []string
	for _, p := range all {
		if strings.HasPrefix(p.Command, "reconcile-shim run "+tenant+"/") {
			shims = append(shims, strings.Fields(p.Command)[2])
		}
	}
	active := w.status().Tenant(tenant).ActiveSlot
	if want := []string{tenant + "/" + active + "/app"}; !slices.Equal(shims, want) {
		w.t.Errorf("%v run, not %v", shims, want)
	}
}
