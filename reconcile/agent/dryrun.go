package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// Preview is what a pass would do, if every action succeeded and nothing else
// moved. The first three fields are fixed for scripts.
type Preview struct {
	Commit  string         `json:"commit"`
	Changes []Change       `json:"changes"`
	Summary map[string]int `json:"summary"` // tenants by op, and "unchanged", "blocked", "actions"

	// Ports are the host ports of what would be started.
	Ports []PortChoice `json:"ports,omitempty"`
	// Blocked are the tenants that would wait for a person at the end.
	Blocked []reconcile.Report `json:"blocked,omitempty"`
	// Takes is how long it would take by bakes, drains and probes alone.
	Takes time.Duration `json:"takes"`
	// Unseen says which parts of the host could not be seen: what is said of
	// them is a guess.
	Unseen []*observed.Problem `json:"unseen,omitempty"`
}

// Change is what would happen to one tenant, in the order it would begin.
type Change struct {
	Tenant  string    `json:"tenant"`
	Op      string    `json:"op"`
	Actions []Planned `json:"actions"`

	// Why explains the op. Kept is the slot that would be the way back
	// afterwards, until Until.
	Why   string     `json:"why,omitempty"`
	Kept  plans.Slot `json:"kept,omitempty"`
	Until time.Time  `json:"keptUntil,omitzero"`
	// GivesUp is the way back that is there now and would not be afterwards.
	GivesUp plans.Slot `json:"givesUp,omitempty"`
}

// Planned is one action that would be carried out.
type Planned struct {
	ID     string `json:"id"`
	Op     string `json:"op"`
	Target string `json:"target"`
	Why    string `json:"why"`
}

// PortChoice is a host port of a service.
type PortChoice struct {
	Key  plans.Key `json:"key"`
	Name string    `json:"name"`
	Port int       `json:"port"`
}

// Bounds of a dry-run, in virtual time and turns.
const (
	dryRunLimit = 30 * 24 * time.Hour
	dryRunTurns = 1_000_000
)

// DryRun runs the agent on a copy of the host in memory, in virtual time, with
// every action succeeding, and returns what it did. It changes nothing. A nil
// plan is the one in force.
func (a *Agent) DryRun(ctx context.Context, plan *plans.Plan) (Preview, error) {
	w, err := a.rehearse(ctx, plan)
	if err != nil {
		return Preview{}, fmt.Errorf("dry-run: %w", err)
	}
	if err := w.run(ctx); err != nil {
		return Preview{}, fmt.Errorf("dry-run: %w", err)
	}
	return w.preview(), nil
}

// rehearsal is an engine on a copy of the host.
type rehearsal struct {
	engine     *Engine
	looker     *looker
	exec       *executor
	probes     *probes
	now        time.Time
	begin      time.Time
	commit     string
	controller string // found beside the real route table
	unseen     []*observed.Problem
	before     map[string]reconcile.Report
	first      map[string]reconcile.Report // the first report that named a change
	order      []string
	actions    map[string][]reconcile.Action
}

// rehearse copies what is seen and remembered.
func (a *Agent) rehearse(ctx context.Context, plan *plans.Plan) (*rehearsal, error) {
	a.mu.Lock()
	if plan == nil {
		plan = a.plan
	}
	a.mu.Unlock()
	if plan == nil {
		return nil, errors.New("no plan is set")
	}
	a.mu.Lock()
	req := a.engine.Everything()
	a.mu.Unlock()
	seen := a.looker.look(ctx, req)

	a.mu.Lock()
	defer a.mu.Unlock()
	store, err := copyStore(a.store)
	if err != nil {
		return nil, err
	}
	w := &rehearsal{now: a.now(), commit: plan.Commit, before: map[string]reconcile.Report{},
		first: map[string]reconcile.Report{}, actions: map[string][]reconcile.Action{}}
	w.begin = w.now
	w.unseen = seen.problems()
	host := mem.New(mem.Config{Now: func() time.Time { return w.now }})
	for _, name := range seen.tenants() {
		facts := seen.merge(observed.Tenant{}, name, "")
		for i := range facts.Instances {
			in := &facts.Instances[i]
			if h, ok := a.probes.health(in.ID); ok {
				in.Health = h
			}
			// The host in memory counts its own ids: none may be taken for another.
			in.ID = "seen-" + in.ID
		}
		host.Load(name, &facts)
	}
	c := a.cfg
	c.Store, c.Clock, c.Random = store, nil, func() float64 { return 0 }
	w.probes = newProbes(host.Prober(), a.redact)
	pretend := hands{runtimes: map[string]drivers.Runtime{}, storages: map[string]drivers.Storage{},
		defaultRuntime: a.defaultRuntime, defaultStorage: a.defaultStorage, router: host.Router(), places: newPlaces()}
	for name, rt := range a.runtimes {
		pretend.runtimes[name] = likeRuntime{host.Runtime(), rt.Traits()}
	}
	for name, st := range a.storages {
		pretend.storages[name] = likeStorage{host.Storage(), st.Traits()}
	}
	w.engine = newEngine(c, w.probes, pretend.places)
	if _, err := w.engine.Load(store, a.engine.fresh, w.now); err != nil {
		return nil, err
	}
	w.engine.fresh = a.engine.fresh // the key says so until it is written down
	w.controller = seen.controller
	w.engine.SetPlan(plan, w.now)
	for name, m := range a.engine.members {
		w.before[name] = m.report
	}
	// One host stands for all drivers: it is looked at through one of each.
	eyes := pretend
	eyes.runtimes = map[string]drivers.Runtime{a.defaultRuntime: host.Runtime()}
	eyes.storages = map[string]drivers.Storage{a.defaultStorage: host.Storage()}
	now := func() time.Time { return w.now }
	inputs := newInputs("", a.cfg.Host, a.redact)
	w.looker = &looker{hands: eyes, inputs: a.inputs, redact: a.redact, now: now, limit: c.LookLimit}
	w.exec = &executor{hands: pretend, host: obliging{a.cfg.Host}, inputs: inputs, redact: a.redact, now: now}
	return w, nil
}

// run turns until nothing is left to wait for.
func (w *rehearsal) run(ctx context.Context) error {
	for turns := 0; ; turns++ {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if turns > dryRunTurns || w.now.Sub(w.begin) > dryRunLimit {
			return fmt.Errorf("no end is in sight after %s of virtual time", w.now.Sub(w.begin))
		}
		worked, err := w.turn(ctx)
		if err != nil {
			return err
		}
		if worked {
			continue
		}
		if w.engine.Settled() || !w.advance() {
			return nil
		}
	}
}

// turn looks, asks, steps and acts once, and says whether anything was done.
func (w *rehearsal) turn(ctx context.Context) (bool, error) {
	worked := false
	for t := w.probes.take(w.now); t != nil; t = w.probes.take(w.now) {
		if h, changed := w.probes.ask(ctx, t, func() time.Time { return w.now }); changed {
			w.engine.Verdict(t.key, h, w.now)
		}
	}
	w.engine.Due(w.now)
	if req, need := w.engine.Stale(); need {
		s := w.looker.look(ctx, req)
		s.controller = w.controller
		w.engine.Saw(s)
		worked = true
	}
	t, err := w.engine.Turn(w.now)
	if err != nil {
		return false, err
	}
	if err := w.engine.specs.store.Commit(t.Tx); err != nil {
		return false, err
	}
	for _, name := range t.Reports {
		w.heard(name)
	}
	for _, job := range t.Work {
		worked = true
		if err := w.act(ctx, job); err != nil {
			return false, err
		}
	}
	return worked, nil
}

func (w *rehearsal) heard(name string) {
	m := w.engine.members[name]
	if m == nil || m.report.Op == reconcile.Keep || m.report.Op == 0 {
		return
	}
	if _, ok := w.first[name]; !ok {
		w.first[name] = m.report
	}
}

func (w *rehearsal) act(ctx context.Context, job work) error {
	var results []reconcile.Result
	var checks []observed.Check
	for _, action := range job.actions {
		if len(w.actions[job.tenant]) == 0 {
			w.order = append(w.order, job.tenant)
		}
		w.actions[job.tenant] = append(w.actions[job.tenant], action)
		out := w.exec.do(ctx, action)
		results = append(results, out.result)
		checks = append(checks, out.checks...)
		if out.result.Problem != nil {
			break
		}
	}
	w.engine.Done(job.tenant, results, checks)
	return ctx.Err()
}

// advance moves virtual time to whatever is due next.
func (w *rehearsal) advance() bool {
	next := w.engine.Next()
	if p := w.probes.next(); next.IsZero() || !p.IsZero() && p.Before(next) {
		next = p
	}
	if next.IsZero() {
		return false
	}
	if next.After(w.now) {
		w.now = next
	}
	return true
}

func (w *rehearsal) preview() Preview {
	p := Preview{Commit: w.commit, Changes: []Change{}, Summary: map[string]int{}, Takes: w.now.Sub(w.begin), Unseen: w.unseen}
	for _, name := range w.order {
		c := w.change(name)
		p.Changes = append(p.Changes, c)
		p.Summary[c.Op]++
		p.Summary["actions"] += len(c.Actions)
		for _, a := range w.actions[name] {
			if a.Instance == nil {
				continue
			}
			for _, port := range sortedKeys(a.Instance.Ports, cmp.Compare[string]) {
				p.Ports = append(p.Ports, PortChoice{a.Instance.Key, port, a.Instance.Ports[port]})
			}
		}
	}
	for m := range w.engine.blocked {
		p.Blocked = append(p.Blocked, m.report)
	}
	slices.SortFunc(p.Blocked, func(x, y reconcile.Report) int { return cmp.Compare(x.Tenant, y.Tenant) })
	p.Summary["blocked"] = len(p.Blocked)
	p.Summary["unchanged"] = max(0, len(w.engine.members)-len(p.Changes))
	return p
}

func (w *rehearsal) change(name string) Change {
	first, ok := w.first[name]
	c := Change{Tenant: name, Op: OpWord(reconcile.Update), Why: first.Why, Actions: []Planned{}}
	if ok {
		c.Op = OpWord(first.Op)
	}
	for _, a := range w.actions[name] {
		c.Actions = append(c.Actions, Planned{ID: a.ID, Op: string(a.Verb), Target: Target(a), Why: a.Why})
	}
	before := w.before[name]
	if m := w.engine.members[name]; m != nil {
		c.Kept, c.Until = m.report.Kept, m.report.KeptUntil
	}
	if before.Kept != plans.NoSlot && !before.KeptUntil.Equal(c.Until) {
		c.GivesUp = before.Kept
	}
	return c
}

// OpWord is the word for an op in JSON.
func OpWord(o reconcile.Op) string {
	switch o {
	case reconcile.Add:
		return "add"
	case reconcile.Replace:
		return "replace"
	case reconcile.Again:
		return "recreate"
	case reconcile.Update:
		return "update"
	case reconcile.Flip:
		return "flip"
	case reconcile.Backward:
		return "back"
	case reconcile.Delete:
		return "delete"
	case reconcile.Hold:
		return "hold"
	}
	return "keep"
}

// copyStore copies what is remembered into memory.
func copyStore(from journal.Store) (*journal.Memory, error) {
	var tx journal.Tx
	for _, b := range []journal.Bucket{journal.Meta, journal.Tenants, journal.Rollouts, journal.Specs} {
		err := from.Each(b, func(key string, v []byte) error {
			tx.Puts = append(tx.Puts, journal.Put{Bucket: b, Key: key, Value: slices.Clone(v)})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("copy journal: %w", err)
		}
	}
	to := journal.NewMemory()
	return to, to.Commit(tx)
}

// problems lists the parts of the host that could not be seen.
func (s *sight) problems() []*observed.Problem {
	var out []*observed.Problem
	for _, name := range sortedKeys(s.runtimeErr, cmp.Compare[string]) {
		if p := s.runtimeErr[name]; p != nil {
			out = append(out, p)
		}
	}
	for _, p := range []*observed.Problem{s.routerErr, s.storageErr} {
		if p != nil {
			out = append(out, p)
		}
	}
	return out
}

// likeRuntime is the pretended runtime with the traits of the real one.
type likeRuntime struct {
	drivers.Runtime
	traits drivers.Traits
}

func (r likeRuntime) Traits() drivers.Traits { return r.traits }

type likeStorage struct {
	drivers.Storage
	traits drivers.StorageTraits
}

func (s likeStorage) Traits() drivers.StorageTraits { return s.traits }

// obliging is a host on which every port is free. Files are the real ones: a
// missing one is worth saying now.
type obliging struct{ Host }

func (obliging) PortOwner(int) string { return "" }
