package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// endless copies for as long as it is let.
type endless struct{ shelves }

func (endless) Snapshot(ctx context.Context, _, _ string, _ []string, progress func(drivers.Progress)) ([]observed.Dataset, error) {
	progress(drivers.Progress{Done: 3 * gib, Total: 40 * gib})
	<-ctx.Done()
	return nil, observed.Wrap("copy", "acme.data", observed.Transient, context.Cause(ctx), "")
}

// TestOurOwnLimitIsNobodysFault: a copy that is cut off by the limit we gave it
// says how far it came, and blames no release; one that gives way to a repair is
// simply tried again.
func TestOurOwnLimitIsNobodysFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shelves{traits: drivers.StorageTraits{Name: "dir"}}
		x := s.executor()
		x.storages["dir"] = endless{s}
		a := reconcile.Action{ID: "acme/a1/quiesce/snapshot/final", Tenant: "acme", Verb: reconcile.Snapshot, Datasets: []string{"acme.data"},
			Volume: &reconcile.VolumeOrder{Volume: plans.Volume{}}, Limit: 30 * time.Minute}
		p := x.do(t.Context(), a).result.Problem
		if p == nil || p.Class != observed.Environment || p.Error() != "snapshot acme.data: took longer than its limit of 30m0s, after 3.0 GiB of 40.0 GiB" {
			t.Errorf("cut off: %+v", p)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(errRepair) })
		if p := x.do(ctx, a).result.Problem; p == nil || p.Class != observed.Transient {
			t.Errorf("gave way: %+v", p)
		}
		if long(&a) != true || long(&reconcile.Action{Verb: reconcile.Snapshot, Limit: time.Minute}) {
			t.Error("a copy waits in the lane of what is done at once")
		}
	})
}
