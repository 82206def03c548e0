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

// Bounds of a dry-run, in virtual time and turns. Time in which nothing is in
// motion until a window opens is leapt over: it counts for windowLimit alone.
const (
	dryRunLimit = 30 * 24 * time.Hour
	windowLimit = 400 * 24 * time.Hour
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
	p := w.preview(ctx)
	for i := range p.Rollouts {
		if err := a.playAnswers(ctx, plan, &p.Rollouts[i]); err != nil {
			return Preview{}, fmt.Errorf("dry-run: %w", err)
		}
	}
	return p, nil
}

// rehearsal is an engine on a copy of the host.
type rehearsal struct {
	engine     *Engine
	looker     *looker
	exec       *executor
	probes     *probes
	now        time.Time
	begin      time.Time
	leapt      time.Duration   // over closed windows
	past       map[string]bool // rollouts that were closed before
	commit     string
	controller string // found beside the real route table
	unseen     []*observed.Problem
	blind      map[string]*observed.Problem // runtimes that could not be seen
	seen       *sight                       // of the real host
	here       map[string]bool              // tenants that were here before
	before     map[string]reconcile.Report
	first      map[string]reconcile.Report // the first report that named a change
	order      []string

	// What the changes are explained by, from before the first of them.
	real     *executor
	diffs    map[string]reconcile.Change
	serving  map[string]*reconcile.Version
	specced  map[string]bool // the spec of what serves is stored
	datasets map[string][]observed.Dataset
	actions  map[string][]reconcile.Action
	changes  []PlannedChange // of tenants without a batch policy
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
	w := &rehearsal{here: map[string]bool{}, now: a.now(), commit: plan.Commit, before: map[string]reconcile.Report{},
		first: map[string]reconcile.Report{}, actions: map[string][]reconcile.Action{}}
	w.begin = w.now
	w.unseen, w.blind, w.seen = seen.problems(), seen.runtimeErr, seen
	host := mem.New(mem.Config{Now: func() time.Time { return w.now }})
	for _, name := range seen.tenants() {
		facts := seen.merge(observed.Tenant{}, name, drivenBy{runtime: a.defaultRuntime})
		for i := range facts.Instances {
			in := &facts.Instances[i]
			if h, ok := a.probes.health(idOf(in)); ok {
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
		pretend.storages[name] = likeStorage{host.Storage(), st.Traits(), st}
	}
	w.engine = newEngine(c, w.probes, pretend.places)
	if _, err := w.engine.Load(store, a.engine.fresh, w.now); err != nil {
		return nil, err
	}
	w.engine.fresh = a.engine.fresh // the key says so until it is written down
	for name, m := range w.engine.members {
		w.here[name] = m.stored
	}
	w.controller = seen.controller
	w.past = map[string]bool{}
	for _, r := range w.engine.rollout.runs.List() {
		w.past[r.ID] = r.Phase.Closed()
	}
	w.engine.SetPlan(plan, w.now)
	for name, m := range a.engine.members {
		w.before[name] = *m.report
	}
	w.real, w.datasets = a.exec, seen.datasets
	w.compare()
	w.group()
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

// compare notes what the plan changes of whom, before anything is done.
func (w *rehearsal) compare() {
	e := w.engine
	w.diffs, w.serving, w.specced = map[string]reconcile.Change{}, map[string]*reconcile.Version{}, map[string]bool{}
	for _, name := range sortedKeys(e.members, cmp.Compare[string]) {
		m := e.members[name]
		cur := m.rec.Current
		if m.want == nil || cur != nil && m.rec.Target == m.target {
			continue
		}
		e.specs.of(m)
		e.ports.at, e.ports.now = m.want, w.now
		w.diffs[name] = reconcile.Diff(reconcile.Input{Name: name, Want: m.want, Facts: &m.facts, Now: w.now, Env: &e.env}, m.rec)
		if cur != nil {
			w.serving[name] = cur
			_, w.specced[name] = e.specs.core(cur.Generation)
		}
	}
}

// run turns until nothing is left to wait for.
func (w *rehearsal) run(ctx context.Context) error {
	for turns := 0; ; turns++ {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if turns > dryRunTurns || w.now.Sub(w.begin)-w.leapt > dryRunLimit {
			return fmt.Errorf("no end is in sight after %s of virtual time", w.now.Sub(w.begin))
		}
		worked, err := w.turn(ctx)
		if err != nil {
			return err
		}
		if worked {
			continue
		}
		if w.settled() || !w.advance() {
			return nil
		}
	}
}

// settled says that nothing is left to wait for: what cannot be seen is not, and
// neither is a window too far ahead.
func (w *rehearsal) settled() bool {
	at := w.engine.rollout.runs.Next()
	return w.rests() && (at.IsZero() || at.Sub(w.begin) >= windowLimit)
}

// rests says that nothing is in motion or about to be, unless a window opens.
func (w *rehearsal) rests() bool {
	if w.engine.rollout.runs.Moves() || w.engine.waitsForProbes() && w.probes.unjudged() {
		return false
	}
	for m := range w.engine.open {
		if m.report.State != reconcile.Unknown || w.blind[w.engine.inCharge(m)] == nil && w.darkTo(m) == nil {
			return false
		}
	}
	return w.engine.Idle()
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
		w.place(s)
		w.engine.Saw(s)
		w.blindfold()
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
	w.approve()
	for _, job := range t.Work {
		worked = true
		if err := w.act(ctx, job); err != nil {
			return false, err
		}
	}
	return worked, nil
}

// place gives what was seen back to the runtimes in charge: one host stands for
// all of them.
func (w *rehearsal) place(s *sight) {
	for name, list := range s.instances {
		for i := range list {
			list[i].Runtime = w.engine.inCharge(w.engine.get(name))
		}
	}
}

// blindfold hides again what could not be seen of tenants that were here before:
// what would be done to them cannot be told.
func (w *rehearsal) blindfold() {
	for _, m := range w.engine.members {
		if err := w.blind[w.engine.inCharge(m)]; err != nil && w.here[m.name] {
			m.facts.Runtime.Err = err
		}
		if err := w.darkTo(m); err != nil && w.here[m.name] {
			m.facts.Storage.Err = err
		}
	}
}

// darkTo is why the data of m could not be seen; nil if they could.
func (w *rehearsal) darkTo(m *member) *observed.Problem {
	return w.seen.blindStorage(observed.Tenant{}, w.engine.drivenBy(m))
}

func (w *rehearsal) heard(name string) {
	m := w.engine.members[name]
	if m == nil || m.report.Op == reconcile.Keep || m.report.Op == 0 {
		return
	}
	if _, ok := w.first[name]; !ok {
		w.first[name] = *m.report
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
	w.engine.Done(job.tenant, results, checks, w.exec.now())
	return ctx.Err()
}

// advance moves virtual time to whatever is due next.
func (w *rehearsal) advance() bool {
	next := w.engine.Next()
	if w.rests() && next.After(w.now) {
		w.leapt += next.Sub(w.now) // no probe is of interest until the window opens
		w.now = next
		return true
	}
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
	if s.routerErr != nil {
		out = append(out, s.routerErr)
	}
	for _, name := range sortedKeys(s.storageErr, cmp.Compare[string]) {
		out = append(out, s.storageErr[name])
	}
	for _, a := range plans.Sorted(s.away) {
		for _, why := range plans.Sorted(a.why) {
			out = append(out, why)
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

// obliging is a host on which every port is free. Files are the real ones: a
// missing one is worth saying now.
type obliging struct{ Host }

func (obliging) PortOwner(int) string { return "" }
