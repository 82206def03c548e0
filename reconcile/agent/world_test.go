package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// world is one host in memory and an agent on it that can die and come again.
type world struct {
	t      testing.TB
	host   *mem.Host
	store  *journal.Memory
	plan   *plans.Plan
	config func(*Config)
	agent  *Agent
	record bool
	mu     sync.Mutex         // guards done
	done   []reconcile.Action // carried out, in the order they ended
}

func newWorld(t testing.TB, p *plans.Plan, config ...func(*Config)) *world {
	w := &world{t: t, store: journal.NewMemory(), plan: p, record: true}
	w.host = mem.New(mem.Config{Now: time.Now})
	w.config = func(c *Config) {
		for _, f := range config {
			f(c)
		}
	}
	w.start()
	return w
}

// start makes a new agent on the host and on what the journal holds.
func (w *world) start() {
	w.t.Helper()
	c := Config{
		Owner:    drivers.Owner{Fleet: "f", Node: "n", Controller: "me"},
		Runtimes: map[string]drivers.Runtime{"mem": w.host.Runtime()},
		Storages: map[string]drivers.Storage{"mem": w.host.Storage()},
		Router:   w.host.Router(), Prober: w.host.Prober(), Host: w.host,
		Store: w.store, AllowLocal: true, Random: func() float64 { return 0 },
	}
	if testing.Verbose() {
		c.Log = slog.New(slog.NewTextHandler(logger{w.t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	w.config(&c)
	inner := c.Progress
	c.Progress = func(p Progress) {
		if w.record && p.Result != nil && p.Result.Problem == nil && p.Verb != Waits {
			w.mu.Lock()
			w.done = append(w.done, p.Action)
			w.mu.Unlock()
		}
		if inner != nil {
			inner(p)
		}
	}
	heard := c.Events
	c.Events = func(ev reconcile.Event) {
		documented(w.t, ev)
		if heard != nil {
			heard(ev)
		}
	}
	var err error
	if w.agent, err = New(c); err != nil {
		w.t.Fatal(err)
	}
	w.agent.SetPlan(w.plan)
}

type logger struct{ t testing.TB }

func (l logger) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// pass makes a pass that must end within an hour of virtual time.
func (w *world) pass() Outcome {
	w.t.Helper()
	out, err := w.tryPass()
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.text())
	}
	return out
}

func (w *world) tryPass() (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	return w.agent.Pass(ctx)
}

// text shows the tenants, for a failed test.
func (w *world) text() string {
	var b strings.Builder
	for _, t := range w.agent.Status().Tenants {
		fmt.Fprintf(&b, "%s: %s %s %s, active %q %s: %s; next %s; %v %v\n", t.Name, t.State, t.Reason, t.Phase, t.ActiveSlot, t.Generation, t.Why, t.Next, t.Problem, t.Services)
	}
	return b.String()
}

// want fails unless every tenant is in the state given.
func (w *world) want(state reconcile.State) {
	w.t.Helper()
	for _, t := range w.agent.Status().Tenants {
		if t.State != state {
			w.t.Fatalf("%s is %s, want %s\n%s", t.Name, t.State, state, w.text())
		}
	}
}

func image(name string) string {
	return "registry.example.com/" + name + "@sha256:" + strings.Repeat(fmt.Sprintf("%02x", len(name)), 28) + fmt.Sprintf("%08x", hash(name))
}

func hash(s string) (h uint32) {
	for _, c := range []byte(s) {
		h = h*31 + uint32(c)
	}
	return h
}

// tenant is one that serves HTTP with one service of the image.
func tenant(name, img string) plans.Tenant {
	return plans.Tenant{
		Name: name, Template: "platform", Strategy: plans.BlueGreen, Policy: "standard",
		Core: plans.Core{Services: map[string]plans.Service{"app": {
			Image: image(img), Ports: map[string]int{"http": 8080},
			Health: &plans.Health{HTTP: &plans.HTTPProbe{Path: "/health"}, Interval: plans.Second, Successes: 2, Within: 30 * plans.Second},
		}}},
		Routes: map[string]*plans.Route{"web": {Hosts: []string{name + ".example.com"}, Service: "app"}},
		Bake:   10 * plans.Second, Drain: 5 * plans.Second, Soak: plans.Soak{For: 600 * plans.Second},
	}
}

// fleet is n tenants of one image.
func fleet(commit string, n int, img string) *plans.Plan {
	p := &plans.Plan{Fleet: "f", Commit: commit, Policies: map[string]plans.BatchPolicy{"standard": {Name: "standard"}}}
	for i := range n {
		p.Tenants = append(p.Tenants, tenant(fmt.Sprintf("t%02d", i), img))
	}
	return p
}
