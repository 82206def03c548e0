package endtoend

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
)

// The runtimes stories are played on.
const (
	process = workshop.Process
	engine  = workshop.Docker
)

// world is one host under test.
type world struct {
	*stage.Stage
	t   *testing.T
	ctx context.Context
	// name is that of its fleet: containers and networks are named by it.
	name string
	// chaos is what passes are told to do at boundaries, and kills how often
	// one was killed.
	chaos string
	kills int
}

// mostKills bounds how often one pass is begun again after it was killed; one
// pass over nine tenants has several hundred boundaries.
const mostKills = 2000

var worlds atomic.Int32

// newWorld sets the stage for a story on a runtime; it skips where the runtime
// cannot be had.
func newWorld(t *testing.T, runtime string) *world {
	t.Helper()
	return newWorldOf(t, runtime, nil)
}

// chaosWorld is one whose reconciler can be killed at boundaries.
func chaosWorld(t *testing.T, runtime string) *world {
	t.Helper()
	return newWorldOf(t, runtime, func(c *stage.Config) { c.Bin = shop.Chaos(t) })
}

func newWorldOf(t *testing.T, runtime string, change func(*stage.Config)) *world {
	t.Helper()
	limit := 10 * time.Minute
	if *soak {
		limit = time.Hour
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return &world{Stage: shop.Stage(t, runtime, change), t: t, ctx: ctx, name: fmt.Sprint("e2e", worlds.Add(1))}
}

// killedAt makes one pass that is to be killed at a boundary, and says whether it
// was: which boundaries of a wait come up depends on when requests end.
func (w *world) killedAt(name string) bool {
	w.t.Helper()
	r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:" + name})
	w.must(err)
	return r.Killed
}

// must ends the story where a step of it failed.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// image pushes a version of the test application.
func (w *world) image(version string, env map[string]string) string {
	w.t.Helper()
	ref, err := w.Image(w.ctx, "hello", version, env)
	if err != nil {
		w.t.Fatal(err)
	}
	return ref
}

// commit commits plans; an empty text removes a file.
func (w *world) commit(message string, files map[string]string) {
	w.t.Helper()
	if _, err := w.Commit(w.ctx, message, files); err != nil {
		w.t.Fatal(err)
	}
}

// pass makes one pass, again and again where it is killed, and wants its exit
// status.
func (w *world) pass(want int) stage.Result {
	w.t.Helper()
	var r stage.Result
	for kills := 0; ; kills++ {
		var err error
		if r, err = w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=" + w.chaos}); err != nil {
			w.t.Fatal(err)
		}
		if !r.Killed {
			break
		}
		if w.kills++; kills == mostKills {
			w.t.Fatalf("killed %d times and still not done\n%s%s", kills, r.Stdout, r.Stderr)
		}
	}
	if r.Exit != want {
		w.t.Fatalf("reconcile ended with status %d, not %d\n%s%s", r.Exit, want, r.Stdout, r.Stderr)
	}
	return r
}

// daemon starts `reconcile run`; it is stopped with the story at the latest.
func (w *world) daemon() *stage.Daemon {
	w.t.Helper()
	d, err := w.Daemon(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			w.t.Error(err)
		}
		if w.t.Failed() {
			w.t.Logf("the daemon's log ends:\n%s", d.Log())
		}
	})
	return d
}

// answers wants a tenant's host name to be answered by that tenant in a version.
func (w *world) answers(tenant, version string) string {
	w.t.Helper()
	got, err := w.Ask(w.ctx, host(tenant), "/")
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(got, "version="+version+" ") || !strings.Contains(got, "tenant="+tenant+" ") {
		w.t.Fatalf("%s is answered by %q, not by version %s of it", host(tenant), strings.TrimSpace(got), version)
	}
	return got
}

// until polls a condition, which says what is still missing, up to a deadline.
func (w *world) until(what string, within time.Duration, missing func() string) time.Duration {
	w.t.Helper()
	began := time.Now()
	for {
		m := missing()
		if m == "" {
			return time.Since(began)
		}
		if time.Since(began) > within {
			w.t.Fatalf("%s: not within %s: %s", what, within, m)
		}
		select {
		case <-w.ctx.Done():
			w.t.Fatalf("%s: %v: %s", what, w.ctx.Err(), m)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// clear removes tenants by the plan, as an operator would, and ends the proxy;
// then nothing may be left.
func (w *world) clear(tenants ...string) {
	w.t.Helper()
	tombs := map[string]string{}
	for _, t := range tenants {
		tombs[t+".yaml"] = fmt.Sprintf("apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {template: app, removed: true}\n", t)
	}
	w.commit("remove the tenants", tombs)
	w.pass(0)
	w.nothingLeft()
}

// nothingLeft ends the proxy and wants nothing to be left.
func (w *world) nothingLeft() {
	w.t.Helper()
	table, err := w.Routes(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for name := range table.Routes {
		w.t.Errorf("left behind: route of %s", name)
	}
	if err := w.StopProxy(w.ctx); err != nil {
		w.t.Error(err)
	}
	left, err := w.Leftovers(w.ctx)
	if err != nil {
		w.t.Error(err)
	}
	for _, l := range left {
		w.t.Error("left behind: " + l)
	}
}

func host(tenant string) string { return tenant + ".example.com" }
