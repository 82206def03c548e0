package agent

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// converged is an agent on n tenants that run as the plan wants them. The
// tenants have no probe, so that nothing but the pass is measured, and each is
// its own change, so that they come up together.
func converged(b *testing.B, n int) *world {
	b.Helper()
	p := fleet("c1", n, "app1")
	for i := range p.Tenants {
		t := &p.Tenants[i]
		t.Name = fmt.Sprintf("t%05d", i)
		t.Template, t.Bake = "", 0
		s := t.Core.Services["app"]
		s.Health = nil
		t.Core.Services["app"] = s
		t.Routes["web"] = &plans.Route{Hosts: []string{t.Name + ".example.com"}, Service: "app"}
	}
	w := newWorld(b, p, func(c *Config) {
		c.Ports = PortRange{1024, 65535}
		c.Parallel = 64
	})
	w.record = false
	if _, err := w.tryPass(); err != nil {
		b.Fatal(err)
	}
	for _, t := range w.agent.Status().Tenants {
		if t.State != "converged" {
			b.Fatalf("%s is %s: %s", t.Name, t.State, t.Why)
		}
	}
	return w
}

var sizes = []int{10, 1000, 10_000}

// BenchmarkNothingToDo is a pass when neither the plan nor the host moved.
func BenchmarkNothingToDo(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := converged(b, n)
			for b.Loop() {
				if out, err := w.agent.Pass(context.Background()); err != nil || out.Actions != 0 {
					b.Fatal(out, err)
				}
			}
		})
	}
}

// BenchmarkFullLook is a pass that looks at everything and finds nothing to do.
func BenchmarkFullLook(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := converged(b, n)
			for b.Loop() {
				w.agent.Refresh()
				if out, err := w.agent.Pass(context.Background()); err != nil || out.Actions != 0 {
					b.Fatal(out, err)
				}
			}
		})
	}
}

// BenchmarkOneEvent is what a hint about one tenant costs: a look at it and a
// step.
func BenchmarkOneEvent(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := converged(b, n)
			e, ctx := w.agent.engine, context.Background()
			for b.Loop() {
				e.Touch("t00003")
				req, _ := e.Stale()
				e.Saw(w.agent.looker.look(ctx, req))
				if t, err := e.Turn(time.Now()); err != nil || len(t.stepped) != 1 || len(t.Work) > 0 {
					b.Fatal(t, err)
				}
			}
		})
	}
}

// BenchmarkOneLineCommit sets a plan in which one tenant changed.
func BenchmarkOneLineCommit(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := converged(b, n)
			for i := 0; b.Loop(); i++ {
				next := *w.plan
				next.Tenants = append([]plans.Tenant(nil), w.plan.Tenants...)
				next.Tenants[3].Soak.For += plans.Duration(1 + i)
				w.agent.SetPlan(&next)
			}
		})
	}
}
