package agentworld

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// runtime tells the checks what the agent asks for, before anything can go wrong
// with it.
type runtime struct {
	drivers.Runtime
	check *checks
}

func (r *runtime) Start(ctx context.Context, id string, want plans.Instance) error {
	r.check.w.visit(want.Tenant)
	r.check.starts(want)
	err := r.Runtime.Start(ctx, id, want)
	r.check.started(want)
	return err
}

func (r *runtime) Stop(ctx context.Context, id string, key plans.Key, grace time.Duration) error {
	r.check.w.visit(key.Tenant)
	r.check.stops("stop", key)
	return r.Runtime.Stop(ctx, id, key, grace)
}

func (r *runtime) Remove(ctx context.Context, id string, key plans.Key) error {
	r.check.w.visit(key.Tenant)
	r.check.stops("remove", key)
	return r.Runtime.Remove(ctx, id, key)
}

type router struct {
	drivers.Router
	check *checks
}

func (r *router) Set(ctx context.Context, id string, entry plans.Entry, rev uint64) (uint64, error) {
	r.check.w.visit(entry.Tenant)
	r.check.routes(entry, rev)
	return r.Router.Set(ctx, id, entry, rev)
}

func (r *router) Delete(ctx context.Context, id string, tenant string, rev uint64) error {
	r.check.unroutes(tenant)
	return r.Router.Delete(ctx, id, tenant, rev)
}

// storage has somebody write just before the agent does something to the data.
type storage struct {
	drivers.Storage
	check *checks
}

func (s *storage) Snapshot(ctx context.Context, id, attempt string, datasets []string, progress func(drivers.Progress)) ([]observed.Dataset, error) {
	for _, d := range datasets {
		s.check.w.visit(tenantOf(d))
	}
	return s.Storage.Snapshot(ctx, id, attempt, datasets, progress)
}

func (s *storage) Clone(ctx context.Context, id, snapshot string, want drivers.VolumeOrder, progress func(drivers.Progress)) (observed.Dataset, error) {
	s.check.w.visit(want.Tenant)
	return s.Storage.Clone(ctx, id, snapshot, want, progress)
}

func (s *storage) Destroy(ctx context.Context, id, name string) error {
	s.check.w.visit(tenantOf(name))
	s.check.destroys(name)
	return s.Storage.Destroy(ctx, id, name)
}

// tenantOf is whose a dataset of the host in memory is, by its name.
func tenantOf(dataset string) string {
	name, _, _ := strings.Cut(dataset, "/")
	return name
}

type prober struct {
	drivers.Prober
	check *checks
}

func (p *prober) Probe(ctx context.Context, t drivers.ProbeTarget) (drivers.Outcome, error) {
	p.check.w.takes("prober.Probe", t.Key.String())
	got, err := p.Prober.Probe(ctx, t)
	if err == nil {
		p.check.answered(t.Key, got.OK)
	}
	return got, err
}

// store tells the checks what is written down, and dies now and then.
type store struct {
	*journal.Memory
	w    *world
	full *atomic.Bool // the disk it is on
}

// Commit writes a transaction down, or dies before or after.
func (s *store) Commit(tx journal.Tx) error {
	if s.full.Load() {
		return fmt.Errorf("commit: %w", syscall.ENOSPC)
	}
	died := journal.When(0)
	if !s.w.isCalm() && s.w.luck("commit") < s.w.o.Crash {
		died = journal.Before
		if s.w.luck("when") < 0.5 {
			died = journal.After
		}
		s.Crash(1, died)
	}
	err := s.Memory.Commit(tx)
	if err == nil || died == journal.After {
		s.w.check.written(tx)
	}
	if died != 0 {
		s.w.note("dies at the journal (%d)", died)
		go s.w.cancel()
	}
	return err
}

// delta reads what a transaction says of rollouts.
func delta(tx journal.Tx) (d reconcile.RolloutDelta, records map[string]reconcile.Record) {
	records = map[string]reconcile.Record{}
	put := map[string]bool{}
	for _, p := range tx.Puts {
		if p.Bucket == journal.Rollouts && p.Value != nil {
			put[p.Key] = true
		}
	}
	for _, p := range tx.Puts {
		switch {
		case p.Bucket == journal.Tenants && p.Value != nil:
			var rec reconcile.Record
			must(json.Unmarshal(p.Value, &rec))
			records[p.Key] = rec
		case p.Bucket != journal.Rollouts:
		case p.Value == nil && !strings.Contains(p.Key, "/"):
			d.Dropped = append(d.Dropped, reconcile.DroppedRollout{ID: p.Key})
		case p.Value == nil:
		case strings.Contains(p.Key, "/"):
			var m reconcile.RolloutMember
			must(json.Unmarshal(p.Value, &m))
			id, _, _ := strings.Cut(p.Key, "/")
			d.Members = append(d.Members, reconcile.ChangedMember{Rollout: id, RolloutMember: m})
		default:
			var r reconcile.Rollout
			must(json.Unmarshal(p.Value, &r))
			d.Rollouts = append(d.Rollouts, r)
		}
	}
	return d, records
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
