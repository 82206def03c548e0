package endtoend

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers/caddy"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/plans"
)

// What breaks while the daemon runs is repaired, and nothing else is touched.
func TestRepairDocker(t *testing.T) {
	w := newWorld(t, engine)
	w.fourTenants()
	e := shop.Engine(t)
	cli, err := e.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer cli.Close()
	bare := w.bareContainer(cli, "ant")
	w.daemon()

	w.mends("docker kill", "ant", bare, func() {
		_, err := cli.ContainerKill(w.ctx, w.container("ant"), client.ContainerKillOptions{Signal: "KILL"})
		w.must(err)
	})
	w.mends("docker stop", "bee", bare, func() {
		_, err := cli.ContainerStop(w.ctx, w.container("bee"), client.ContainerStopOptions{})
		w.must(err)
	})
	w.mends("docker rm -f", "cat", bare, func() {
		_, err := cli.ContainerRemove(w.ctx, w.container("cat"), client.ContainerRemoveOptions{Force: true})
		w.must(err)
	})
	w.proxyAndRoute()
}

func TestRepairProcess(t *testing.T) {
	w := newWorld(t, process)
	w.fourTenants()
	bare := w.bareProcess()
	w.daemon()

	w.mends("kill -9 of the instance", "ant", bare, func() { w.kill(w.shim("ant"), childrenOf) })
	w.mends("kill -9 of its shim", "bee", bare, func() { w.kill(w.shim("bee"), itself) })
	w.proxyAndRoute()
}

// fourTenants brings up those to be hurt, one after the other.
func (w *world) fourTenants() {
	w.t.Helper()
	f := fleet{name: w.name, image: w.image("1.0", nil), tenants: []string{"ant", "bee", "cat", "dog"}}
	w.commit("four tenants", f.files())
	w.pass(0)
}

// proxyAndRoute kills the proxy and edits a route.
func (w *world) proxyAndRoute() {
	w.t.Helper()
	w.mends("kill -9 of the proxy", "dog", w.bareProxy(), func() {
		h, err := w.ProxyHealth(w.ctx)
		w.must(err)
		w.must(syscall.Kill(h.PID, syscall.SIGKILL))
		w.until("the proxy is dead", 5*time.Second, func() string {
			if _, err := w.ProxyHealth(w.ctx); err == nil {
				return "it answers"
			}
			return ""
		})
	})

	table, err := w.Routes(w.ctx)
	w.must(err)
	was := table.Routes["dog"].Entry
	w.mends("route edited", "dog", 0, func() {
		edited := was
		edited.Routes = []plans.EntryRoute{was.Routes[0]}
		edited.Routes[0].Address = map[plans.Slot]string{was.Slot: table.Routes["bee"].Entry.Routes[0].Address[table.Routes["bee"].Entry.Slot]}
		w.must(w.EditRoute(w.ctx, edited, table.Routes["dog"].Revision))
		if got, err := w.Ask(w.ctx, host("dog"), "/"); err == nil && !strings.Contains(got, "tenant=bee ") {
			w.t.Fatalf("the edit did not lead dog to bee: %s", got)
		}
		_, err := w.Run(w.ctx, "nudge") // a table has no events: the slow full look would find it
		w.must(err)
	})
}

// rested is how long an instance has to run before it is hurt: one that ended
// right after its start is given a moment before it is started again.
const rested = 3 * time.Second

// mends hurts a tenant and waits until it is well again: it answers itself,
// status says converged, and no other tenant was started again.
func (w *world) mends(what, tenant string, bare time.Duration, hurt func()) {
	w.t.Helper()
	var before stage.Status
	w.until(what+": before", 30*time.Second, func() string {
		before = w.status()
		return unwell(before.Tenant(tenant), rested)
	})
	began := time.Now()
	hurt()
	took := time.Since(began)
	w.until(what, 30*time.Second, func() string {
		got, err := w.Ask(w.ctx, host(tenant), "/")
		switch {
		case err != nil:
			return err.Error()
		case !strings.Contains(got, "tenant="+tenant+" "):
			return "answered by " + got
		}
		return ""
	})
	mended := time.Since(began) - took
	var after stage.Status
	w.until(what+": converged", 30*time.Second, func() string {
		after = w.status()
		return unwell(after.Tenant(tenant), 0)
	})
	for _, other := range before.Tenants {
		if is := after.Tenant(other.Name); other.Name != tenant && is.Services[0].Since != other.Services[0].Since {
			w.t.Errorf("%s of %s started %s again", what, tenant, other.Name)
		}
	}
	ratio := ""
	if bare > 0 {
		ratio = fmt.Sprintf(", bare start %s: ratio %.2f", round(bare), float64(mended)/float64(bare))
	}
	w.t.Logf("%-24s served again after %s%s", what, round(mended), ratio)
}

func (w *world) status() stage.Status {
	w.t.Helper()
	st, err := w.Status(w.ctx)
	w.must(err)
	return st
}

// unwell says why a tenant is not well, or has not been up for so long.
func unwell(t stage.Tenant, up time.Duration) string {
	switch {
	case t.State != "converged":
		return t.State + ": " + t.Why
	case len(t.Services) != 1 || !t.Services[0].Healthy:
		return fmt.Sprintf("services %+v", t.Services)
	}
	since, err := time.Parse(time.RFC3339, t.Services[0].Since)
	if err != nil {
		return err.Error()
	}
	if is := time.Since(since); is < up {
		return fmt.Sprintf("up for %s only", is)
	}
	return ""
}

// container is the name of a tenant's routed container.
func (w *world) container(tenant string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, "docker", "ps", "-a", "--format", "{{.Names}}", "--filter", "label=reconcile.node="+w.Node, "--filter", "label=reconcile.tenant="+tenant)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+w.DockerHost)
	out, err := cmd.Output()
	w.must(err)
	return strings.TrimSpace(string(out))
}

// bareContainer measures how long the engine takes to start the tenant's
// container until it answers, the median of three.
func (w *world) bareContainer(cli *client.Client, tenant string) time.Duration {
	w.t.Helper()
	table, err := w.Routes(w.ctx)
	w.must(err)
	entry := table.Routes[tenant].Entry
	name := w.container(tenant)
	return median(func() time.Duration {
		_, err := cli.ContainerStop(w.ctx, name, client.ContainerStopOptions{})
		w.must(err)
		began := time.Now()
		_, err = cli.ContainerStart(w.ctx, name, client.ContainerStartOptions{})
		w.must(err)
		w.awaitHealth(entry.Routes[0].Address[entry.Slot])
		return time.Since(began)
	})
}

// bareProcess measures how long the application takes to answer if it is just
// started.
func (w *world) bareProcess() time.Duration {
	w.t.Helper()
	addr := freeAddress(w.t)
	return median(func() time.Duration {
		cmd := exec.CommandContext(w.ctx, w.Serve)
		_, port, _ := strings.Cut(addr, ":")
		cmd.Env = append(os.Environ(), "PORT="+port)
		began := time.Now()
		w.must(cmd.Start())
		w.awaitHealth(addr)
		took := time.Since(began)
		w.must(cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		return took
	})
}

// bareProxy measures how long a proxy takes to answer if it is just started.
func (w *world) bareProxy() time.Duration {
	w.t.Helper()
	p := w.TheProxy()
	p.Dir, p.Listen = w.Dir+"/bare", []string{freeAddress(w.t)}
	p.Socket = p.Dir + "/s"
	return median(func() time.Duration {
		began := time.Now()
		_, err := caddy.Start(w.ctx, p)
		w.must(err)
		took := time.Since(began)
		w.must(caddy.Stop(w.ctx, p))
		return took
	})
}

func (w *world) awaitHealth(addr string) {
	w.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	w.until(addr+" answers", 20*time.Second, func() string {
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/health", nil)
		w.must(err)
		res, err := c.Do(req)
		if err != nil {
			return err.Error()
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return res.Status
		}
		return ""
	})
}

// shim is the process that looks after a tenant's instance.
func (w *world) shim(tenant string) int {
	w.t.Helper()
	all, err := w.Processes()
	w.must(err)
	for _, p := range all {
		if strings.HasPrefix(p.Command, "reconcile-shim run "+tenant+"/") {
			return p.PID
		}
	}
	w.t.Fatalf("no shim of %s among %v", tenant, all)
	return 0
}

func itself(p stage.Process, of int) bool     { return p.PID == of }
func childrenOf(p stage.Process, of int) bool { return p.Parent == of }

// kill kills those processes of the stage that stand so to one of them.
func (w *world) kill(of int, which func(p stage.Process, of int) bool) {
	w.t.Helper()
	all, err := w.Processes()
	w.must(err)
	n := 0
	var gone []int
	for _, p := range all {
		if which(p, of) {
			w.must(syscall.Kill(p.PID, syscall.SIGKILL))
			n++
		}
		if childrenOf(p, of) {
			gone = append(gone, p.PID)
		}
	}
	if n == 0 || len(gone) == 0 {
		w.t.Fatalf("nothing to kill at %d among %v", of, all)
	}
	for _, pid := range gone {
		w.until("the instance ends", 5*time.Second, func() string {
			if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(b) > 0 {
				return fmt.Sprintf("%d runs", pid)
			}
			return ""
		})
	}
}
