package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/fault"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestADownRuntimeBlindsItsOwn: with one of two runtimes down, also over a
// restart, the other's tenants are upgraded and repaired, and its own wait.
func TestADownRuntimeBlindsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := mem.New(mem.Config{Now: time.Now})
		two := func(img string) *plans.Plan {
			p := fleet("c"+img, 2, img)
			p.Tenants[0].Template, p.Tenants[1].Template = "", ""
			p.Tenants[1].Runtime = "other"
			return p
		}
		down := false
		f := fault.Faults{Decide: func(fault.Op, string) fault.Fault {
			if down {
				return fault.Blind
			}
			return fault.None
		}}
		w := newWorld(t, two("app1"), func(c *Config) {
			c.Runtimes["other"], c.DefaultRuntime = fault.Runtime(other.Runtime(), f), "mem"
			c.Prober = byRuntime{map[string]drivers.Prober{"mem": c.Prober, "other": other.Prober()}}
		})
		w.pass()
		w.want(reconcile.Converged)
		for _, restart := range []bool{false, true} {
			down = true
			img := "app2"
			if restart {
				w.store = w.store.Reopen()
				img = "app3"
			}
			w.plan = two(img)
			if restart {
				w.start()
			} else {
				w.agent.SetPlan(w.plan)
			}
			preview, err := w.agent.DryRun(t.Context(), nil)
			if err != nil || len(preview.Changes) != 1 || preview.Changes[0].Tenant != "t00" || len(preview.Unseen) != 1 {
				t.Errorf("dry-run: %+v, %v", preview, err)
			}
			w.pass()
			s := w.agent.Status()
			if t00 := s.Tenants[0]; t00.State != reconcile.Converged || !strings.HasSuffix(image(img), t00.Services[0].Image) {
				t.Errorf("restart %v: t00 is held up by a runtime it has nothing to do with\n%s", restart, w.text())
			}
			if t01 := s.Tenants[1]; t01.State != reconcile.Unknown {
				t.Errorf("restart %v: t01\n%s", restart, w.text())
			}
			down = false
			w.agent.Refresh()
			w.pass()
			w.want(reconcile.Converged)
			if t01 := w.agent.Status().Tenants[1]; !strings.HasSuffix(image(img), t01.Services[0].Image) {
				t.Errorf("t01 runs %s", t01.Services[0].Image)
			}
		}
	})
}

// byRuntime asks the prober of the runtime an instance is with.
type byRuntime struct{ of map[string]drivers.Prober }

func (b byRuntime) Probe(ctx context.Context, t drivers.ProbeTarget) (drivers.Outcome, error) {
	return b.of[t.Runtime].Probe(ctx, t)
}
