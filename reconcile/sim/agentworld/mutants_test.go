package agentworld

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/sim/rules"
)

// Mutant is a driver with one deliberate mistake, which makes the agent do what
// it must not, and the rule that has to catch it.
type Mutant struct {
	Name   string
	Rule   string
	Within uint64 // seeds it must be caught in
	Break  func(hands) hands
}

// Mutants are the mistakes that are tried.
var Mutants = []Mutant{
	{"says that everybody is well", "S1", 20, func(h hands) hands {
		h.prober = hasty{h.prober}
		return h
	}},
	{"stops what serves as it starts what is new", "S2", 20, func(h hands) hands {
		h.runtime = &pushy{h.runtime, h.w}
		return h
	}},
	{"takes the final snapshot before the writers stop", "S6", 40, func(h hands) hands {
		h.router = &early{h.router, h.storage, h.w}
		return h
	}},
	{"runs a job again that has ended", "S7", 60, func(h hands) hands {
		h.runtime = &eager{Runtime: h.runtime}
		return h
	}},
	{"never starts the second tenant", "S8", 20, func(h hands) hands {
		h.runtime = &picky{h.runtime}
		return h
	}},
	{"does not see that an instance is marked", "S9", 20, func(h hands) hands {
		h.runtime = &blurred{h.runtime}
		return h
	}},
	{"removes the way back once it is switched", "S10", 60, func(h hands) hands {
		h.router = &tidy{h.router, h.runtime}
		return h
	}},
	{"does not remove anything", "L1", 20, func(h hands) hands {
		h.runtime = &idle{h.runtime}
		return h
	}},
}

type hasty struct{ drivers.Prober }

func (p hasty) Probe(ctx context.Context, t drivers.ProbeTarget) (drivers.Outcome, error) {
	_, err := p.Prober.Probe(ctx, t)
	return drivers.Outcome{OK: true, Text: "surely"}, err
}

type pushy struct {
	drivers.Runtime
	w *world
}

func (r *pushy) Start(ctx context.Context, id string, want plans.Instance) error {
	if e := r.w.host.Truth(want.Tenant).Route.Entry; want.Service == "app" && e.Slot != want.Slot && e.Slot != plans.NoSlot {
		_ = r.Runtime.Stop(ctx, id+"/old", plans.Key{Tenant: want.Tenant, Slot: e.Slot, Service: "app"}, time.Second)
	}
	return r.Runtime.Start(ctx, id, want)
}

// early takes an attempt's snapshot as its hold begins; the one that is ordered
// later is then there already.
type early struct {
	drivers.Router
	storage drivers.Storage
	w       *world
}

func (r *early) Set(ctx context.Context, id string, e plans.Entry, rev uint64) (uint64, error) {
	for _, d := range r.w.host.Truth(e.Tenant).Datasets {
		if words := strings.Split(id, "/"); e.Hold != nil && len(words) > 1 && d.Role == observed.Live {
			_, _ = r.storage.Snapshot(ctx, id+"/early", words[1], []string{d.ID}, nil)
		}
	}
	return r.Router.Set(ctx, id, e, rev)
}

type eager struct{ drivers.Runtime }

func (r *eager) Start(ctx context.Context, id string, want plans.Instance) error {
	err := r.Runtime.Start(ctx, id, want)
	if want.Spec.Job != nil && err == nil {
		_ = r.Runtime.Remove(ctx, id+"/again", want.Key)
		return r.Runtime.Start(ctx, id+"/again", want)
	}
	return err
}

type picky struct{ drivers.Runtime }

func (r *picky) Start(ctx context.Context, id string, want plans.Instance) error {
	if want.Tenant == "t01" {
		return &observed.Problem{Op: "start", Ref: want.Key.String(), Class: observed.Refused, Text: "not this one"}
	}
	return r.Runtime.Start(ctx, id, want)
}

// blurred sees every instance as one that is not to restart by itself.
type blurred struct{ drivers.Runtime }

func (r *blurred) Observe(ctx context.Context, tenants ...string) ([]observed.Instance, map[string][]string, error) {
	seen, foreign, err := r.Runtime.Observe(ctx, tenants...)
	seen = slices.Clone(seen)
	for i := range seen {
		seen[i].Routed = false
	}
	return seen, foreign, err
}

type tidy struct {
	drivers.Router
	runtime drivers.Runtime
}

func (r *tidy) Set(ctx context.Context, id string, e plans.Entry, rev uint64) (uint64, error) {
	rev, err := r.Router.Set(ctx, id, e, rev)
	if err == nil {
		_ = r.runtime.Remove(ctx, id+"/old", plans.Key{Tenant: e.Tenant, Slot: e.Slot.Other(), Service: "app"})
	}
	return rev, err
}

type idle struct{ drivers.Runtime }

func (r *idle) Remove(context.Context, string, plans.Key) error { return nil }

// TestMutants makes the mistakes and wants the named rule to notice.
func TestMutants(t *testing.T) {
	for _, m := range Mutants {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			for s := uint64(1); s <= m.Within; s++ {
				if w := run(t, Case{Seed: s}, m.Break); w.broken != nil && w.broken.Rule == m.Rule {
					t.Logf("seed %d: %v", s, w.broken)
					return
				}
			}
			t.Errorf("%s did not notice in %d seeds", m.Rule, m.Within)
		})
	}
}

// TestRulesHaveMutants: a rule that no mistake ever broke may hold nothing. Those
// of rollouts have theirs in fleet.
func TestRulesHaveMutants(t *testing.T) {
	caught := map[string]bool{}
	for _, m := range Mutants {
		caught[m.Rule] = true
	}
	rules.Covered(t, caught)
}
