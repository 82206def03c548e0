package fault

import (
	"context"

	"github.com/gitops-fleet/reconcile/drivers"
)

type prober struct {
	drivers.Prober
	f Faults
}

// Prober returns p with faults: one that cannot look.
func Prober(p drivers.Prober, f Faults) drivers.Prober { return prober{p, f} }

func (p prober) Probe(ctx context.Context, t drivers.ProbeTarget) (out drivers.Outcome, err error) {
	err = p.f.call(ctx, "prober.Probe", t.Key.String(), func(ctx context.Context) (err error) {
		out, err = p.Prober.Probe(ctx, t)
		return err
	})
	return out, err
}
