package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
)

// TestPreviewSaysWhyAndTheWayBack: which fields differ, from which generation to
// which, and whether what serves now could be started again.
func TestPreviewSaysWhyAndTheWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := map[string]bool{}
		w := newWorld(t, fleet("c1", 2, "app1"), func(c *Config) {
			c.Runtimes = map[string]drivers.Runtime{"mem": without{c.Runtimes["mem"], gone}}
		})
		first, err := w.agent.DryRun(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c := first.Changes[0]; c.WayBack != nil || c.From != "" || c.To == "" || c.Why != "services.app begins ("+image("app1")+")" {
			t.Errorf("a first deployment: %+v", c)
		}
		w.pass()
		p := fleet("c2", 2, "app2")
		for i := range p.Tenants {
			s := p.Tenants[i].Core.Services["app"]
			s.Env = map[string]string{"PASSWORD": "hunter2"}
			p.Tenants[i].Core.Services["app"] = s
		}
		w.agent.SetPlan(p)
		look := func() Change {
			t.Helper()
			v, err := w.agent.DryRun(t.Context(), nil)
			if err != nil || len(v.Changes) != 2 {
				t.Fatalf("%+v, %v", v, err)
			}
			return v.Changes[0]
		}
		c := look()
		if want := "services.app.image " + image("app1") + " → " + image("app2") + ", services.app.env"; c.Why != want {
			t.Errorf("why is %q, want %q", c.Why, want)
		}
		if c.From != w.agent.Status().Tenants[0].Generation || c.To == c.From || !strings.HasPrefix(c.To, "g1:") {
			t.Errorf("from %s to %s", c.From, c.To)
		}
		if b := c.WayBack; b == nil || !b.Ready || b.Slot != plans.Blue || b.Generation != c.From || len(b.Checks) != 2 {
			t.Errorf("way back: %+v", c.WayBack)
		}
		// Somebody removed the old image.
		gone[image("app1")] = true
		b := look().WayBack
		if b == nil || b.Ready {
			t.Fatalf("the old image is gone, and the way back is %+v", b)
		}
		if last := b.Checks[1]; last.ID != "way-back/app" || last.OK || !strings.Contains(last.Text, "is not on this host") {
			t.Errorf("%+v", b.Checks)
		}
		gone[image("app1")] = false
		// A repair has no fields to name.
		w.agent.SetPlan(fleet("c1", 2, "app1"))
		w.host.RemoveByHand(plans.Key{Tenant: "t01", Slot: plans.Blue, Service: "app"})
		w.agent.Refresh()
		v, err := w.agent.DryRun(t.Context(), nil)
		if err != nil || len(v.Changes) != 1 || v.Changes[0].Why == "" || v.Changes[0].From != "" || v.Changes[0].WayBack != nil {
			t.Errorf("repair: %+v, %v", v, err)
		}
	})
}

// without is a runtime from which somebody took images.
type without struct {
	drivers.Runtime
	gone map[string]bool
}

func (w without) Present(ctx context.Context, image string) (bool, error) {
	if w.gone[image] {
		return false, nil
	}
	return w.Runtime.Present(ctx, image)
}
