package durability

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// world is one host with one tenant, ant, whose ledger is on ZFS in the VM and
// in a plain directory elsewhere.
type world struct {
	*stage.Stage
	t      *testing.T
	ctx    context.Context
	volume string // the plan's words for the ledger, without what a story adds
	pool   string // dataset that holds the story's data; "" without ZFS
	plan   plan
}

var worlds atomic.Int32

// longest is what one story may take at most, on an emulated processor.
const longest = 30 * time.Minute

// limit is the same for the form that runs: the long one dies hundreds of times.
func limit() time.Duration {
	if *soak {
		return 4 * longest
	}
	return longest
}

func newWorld(t *testing.T, p plan) *world {
	t.Helper()
	if vm.Inside() {
		return newWorldAt(t, p, fmt.Sprint("tank/w", worlds.Add(1)))
	}
	return newWorldOn(t, workshopRuntime, p)
}

// newWorldOn sets the stage on the host, on a runtime.
func newWorldOn(t *testing.T, runtime string, p plan) *world {
	t.Helper()
	w := bare(t, p)
	app, err := writer()
	w.must(err)
	w.Stage = shop.Stage(t, runtime, func(c *stage.Config) { c.Bin, c.Serve = shop.Chaos(t), app })
	return w
}

// newWorldAt makes the dataset that holds the data of a story, in the VM.
func newWorldAt(t *testing.T, p plan, pool string, options ...string) *world {
	t.Helper()
	w := bare(t, p)
	w.zfs(append(append([]string{"create"}, options...), pool)...)
	w.onPool(pool)
	dir := filepath.Join("/disk", w.plan.fleet)
	var err error
	w.Stage, err = stage.New(w.ctx, w.config(dir))
	w.must(err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.Wreck(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

func bare(t *testing.T, p plan) *world {
	ctx, cancel := context.WithTimeout(t.Context(), limit())
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, plan: p, volume: "driver: dir"}
	if w.plan.fleet == "" {
		w.plan.fleet = fmt.Sprint("dur", worlds.Add(1))
	}
	return w
}

// onPool has the data on ZFS.
func (w *world) onPool(pool string) { w.pool, w.volume = pool, "driver: zfs, source: "+pool }

// config is what a stage in the VM is made of.
func (w *world) config(dir string) stage.Config {
	return stage.Config{Dir: dir, Bin: "/vm/bin", Serve: "/vm/writer", Runtime: workshopRuntime,
		Drivers: fmt.Sprintf("  zfs:\n    roots: [%s]\n    mounts: %s\n", w.pool, filepath.Join(dir, "mounts"))}
}

// workshopRuntime runs the stories: it needs no engine.
const workshopRuntime = "process"

// must ends the story where a step of it failed.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// zfs runs a command of the story's own.
func (w *world) zfs(args ...string) string {
	w.t.Helper()
	out, err := exec.CommandContext(w.ctx, "zfs", args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("zfs %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// release pushes a version of the writer and plans it.
func (w *world) release(version string, env map[string]string) {
	w.t.Helper()
	image, err := w.Image(w.ctx, "writer", version, env)
	w.must(err)
	w.plan.image = image
	_, err = w.Commit(w.ctx, "ant on "+version, w.plan.files(w.volume))
	w.must(err)
}

// pass makes one pass and wants its exit status. One that ended because a machine
// this busy did not answer in time is gone on with, as a daemon would.
func (w *world) pass(want int) stage.Result {
	w.t.Helper()
	for n := 1; ; n++ {
		r, err := w.Run(w.ctx)
		w.must(err)
		waits := r.Exit == 1 && strings.Contains(r.Stdout, "goes on when it is seen again")
		switch {
		case r.Exit == want:
			return r
		case !waits || n == mostPasses:
			w.t.Fatalf("reconcile ended with status %d, not %d\n%s%s", r.Exit, want, r.Stdout, r.Stderr)
		}
	}
}

// mostPasses bounds how often a pass is gone on with.
const mostPasses = 5

// answers wants ant to be answered by a version.
func (w *world) answers(version string) {
	w.t.Helper()
	got, err := w.Ask(w.ctx, host, "/")
	w.must(err)
	if got != version {
		w.t.Fatalf("ant is answered by %q, not by %s", got, version)
	}
}

// host is the name ant is asked by.
const host = "ant.example.com"

// unharmed ends the clients: none of their requests failed, and every number
// that was acknowledged is in the data.
func (w *world) unharmed(run *load.Run) load.Result {
	w.t.Helper()
	result := run.Stop()
	w.holds(result.Posted)
	if result.Failed() > 0 {
		w.t.Errorf("%s: %q", result, result.Errors())
	}
	return result
}

// crowd begins to write and read.
func (w *world) crowd() *load.Run {
	return w.press(map[load.Kind]int{load.Post: 3, load.Get: 2, load.Fresh: 1})
}

// press begins requests by so many clients of each kind.
func (w *world) press(clients map[load.Kind]int) *load.Run {
	return load.Start(w.ctx, load.Config{Proxy: w.Proxy, Host: host, Think: think(), Patience: patience, Workers: clients})
}

// patience is how long a client waits: a write that is held is not lost.
const patience = 5 * time.Minute

// think is the pause of each client; an emulated processor has other things to
// do than requests.
func think() time.Duration {
	if vm.Slow() {
		return 200 * time.Millisecond
	}
	return 5 * time.Millisecond
}

// explain asks reconcile what it knows of ant.
func (w *world) explain() agent.Explanation {
	w.t.Helper()
	r, err := w.Run(w.ctx, "explain", "ant", "-o", "json")
	w.must(err)
	var e agent.Explanation
	if err := json.Unmarshal([]byte(r.Stdout), &e); err != nil {
		w.t.Fatalf("explain: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return e
}

// ledger reads the data that serve, from disk and not from who serves them.
func (w *world) ledger() []string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dataset(w.explain().Record.Data["ledger"].Dataset).Path, "ledger"))
	w.must(err)
	return strings.Fields(string(b))
}

// holds wants each number exactly once in the ledger.
func (w *world) holds(acknowledged []string) {
	w.t.Helper()
	times := map[string]int{}
	for _, n := range w.ledger() {
		times[n]++
	}
	lost, doubled := 0, 0
	for _, n := range acknowledged {
		switch times[n] {
		case 0:
			lost++
		case 1:
		default:
			doubled++
		}
	}
	if lost > 0 || doubled > 0 {
		w.t.Errorf("of %d acknowledged numbers %d are not in the final data, and %d more than once", len(acknowledged), lost, doubled)
	}
}

// told is the ledger as who serves it tells it.
func (w *world) told() []string {
	w.t.Helper()
	text, err := w.Ask(w.ctx, host, "/ledger")
	w.must(err)
	return strings.Fields(text)
}

// until polls a condition up to a deadline.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, longest/3)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s: %v", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// post sends one request through the proxy and wants it done.
func (w *world) post(path, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "http://"+w.Proxy+path, strings.NewReader(body))
	w.must(err)
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	w.must(err)
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("POST %s: %s: %s", path, res.Status, text)
	}
}

// dataset is one of ant's as it is observed.
func (w *world) dataset(id string) observed.Dataset {
	w.t.Helper()
	all := w.explain().Facts.Datasets
	for _, d := range all {
		if d.ID == id {
			return d
		}
	}
	w.t.Fatalf("the dataset %q is not there: %+v", id, all)
	return observed.Dataset{}
}

// said wants a verb to say a word about ant.
func (w *world) said(verb, word string) {
	w.t.Helper()
	r, err := w.Run(w.ctx, verb, "ant")
	w.must(err)
	if !strings.Contains(r.Stdout, word) {
		w.t.Errorf("`reconcile %s ant` does not say %q:\n%s%s", verb, word, r.Stdout, r.Stderr)
	}
}
