package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// slowProber takes its time for each answer.
type slowProber struct {
	drivers.Prober
	takes time.Duration
}

func (p slowProber) Probe(ctx context.Context, t drivers.ProbeTarget) (drivers.Outcome, error) {
	select {
	case <-ctx.Done():
		return drivers.Outcome{}, ctx.Err()
	case <-time.After(p.takes):
	}
	return p.Prober.Probe(ctx, t)
}

// A look ends though asking all instances takes longer than it is until the
// first is to be asked again.
func TestLookWithSlowAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 9, "app1"))
		w.pass()
		w.store = w.store.Reopen()
		w.config = func(c *Config) {
			c.Probes = 1
			c.Prober = slowProber{w.host.Prober(), time.Second}
		}
		w.start()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := w.agent.Look(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*proveLimit {
			t.Errorf("a look took %s", took)
		}
		for _, s := range w.agent.Status().Tenants {
			if s.State == reconcile.Unknown {
				t.Errorf("%s is not looked at: %+v", s.Name, s)
			}
		}
	})
}
