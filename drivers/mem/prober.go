package mem

import (
	"context"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Prober asks instances of the host.
type Prober struct{ h *Host }

// Prober returns the host's prober.
func (h *Host) Prober() *Prober { return &Prober{h} }

var _ drivers.Prober = (*Prober)(nil)

// Probe implements drivers.Prober.
func (p *Prober) Probe(ctx context.Context, t drivers.ProbeTarget) (drivers.Outcome, error) {
	h := p.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartProber, "probe", t.Key.String()); err != nil {
		return drivers.Outcome{}, err
	}
	what := "run"
	switch {
	case t.Health.HTTP != nil:
		what = "GET " + t.Health.HTTP.Path
	case t.Health.TCP != nil:
		what = "connect"
	case t.Health.Exec != nil:
		what = strings.Join(t.Health.Exec.Command, " ")
	}
	i := h.instance(t.Key)
	if i == nil || i.seen.Phase != observed.Running {
		return drivers.Outcome{Text: what + ": it does not run"}, nil
	}
	if t.Health.HTTP != nil || t.Health.TCP != nil {
		for _, port := range t.Ports {
			if who := h.taken[port]; who != "" {
				return drivers.Outcome{Text: what + ": answered by " + who + ", not by this instance"}, nil
			}
		}
	}
	switch well, atAll := h.well(i); {
	case !atAll:
		return drivers.Outcome{Text: what + ": connection refused"}, nil
	case !well && t.Health.HTTP != nil:
		return drivers.Outcome{Text: what + ": 500"}, nil
	case !well:
		return drivers.Outcome{Text: what + ": not well"}, nil
	}
	return drivers.Outcome{OK: true, Text: what + ": ok"}, nil
}
