package agent

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// Engine owns the memory of every tenant and decides when each steps. It has no
// goroutine, clock, disk or network; it is driven by one caller at a time:
//
//	req := Stale()      what must be looked at
//	Saw(sight)          what was seen
//	turn := Turn(now)   steps whoever may step; commit turn.Tx, then act
//	Done(...)           what became of a tenant's actions
//	Next()              when to call Turn again though nothing came in
//
// A tenant steps only on facts looked at after the last thing that concerned
// it, and never while actions of it are under way. Cost per call is in what
// changed, not in the number of tenants.
type Engine struct {
	owner    drivers.Owner
	specs    *specs
	ports    *ports
	probes   *probes
	log      *slog.Logger
	rollout  rollout
	runtimes map[string]drivers.Runtime
	// storage is the one of volumes that name none.
	storage string
	// over are the tenants the plan removes, where they are too many.
	over *reconcile.Removals
	// places is told which runtime is in charge of a tenant; may be nil.
	places *places
	spread func() float64
	maxGap time.Duration
	// steps bounds those of one turn; 0: all who may step.
	steps int

	env     reconcile.Env
	plan    *plans.Plan
	answers map[string]string        // in force: the plan's and those given on this host
	local   map[string]LocalDecision // by question
	heard   map[string]*heard        // questions whose answer was taken
	doubts  map[string]bool          // of them, those that somebody answers otherwise; see ignore

	members map[string]*member
	stale   map[*member]bool // need a look, then a step
	ready   map[*member]bool // looked at, to be stepped in the next turns
	wakes   wakeHeap
	stamp   uint64    // counts news; a look counts for news up to its stamp
	started bool      // a full look has been taken in
	fresh   bool      // the journal was empty when opened
	begun   time.Time // when the journal was read
	// controller is the id last seen beside the route table.
	controller string
	looked     time.Time // when the last full look began
	inFlight   int       // tenants with actions under way

	open    map[*member]bool // a pass waits for them
	blocked map[*member]bool // they wait for a person

	pending journal.Tx // for the next turn: ended actions, forgotten tenants
	prunes  bool       // something on the host is of no use any more
	urgent  bool       // pending does not wait for a step
	moved   map[string]bool
	giving  []string // tenants whose long action gives way to a repair
}

// member is one tenant.
type member struct {
	name    string
	want    *plans.Tenant
	target  plans.Target
	rec     reconcile.Record
	report  *reconcile.Report // the last one; a new one takes its place
	facts   observed.Tenant
	permit  reconcile.Permit
	stood   *stand // in its change, when the rollout last heard of it; nil: in a policy's rollouts
	results []reconcile.Result
	words   *words // of a person on this host, until they are heard
	flight  []reconcile.Action
	wake    time.Time
	index   int    // in wakes; -1: none
	news    uint64 // stamp of the last thing that concerned it
	seen    uint64 // stamp of the last look
	stored  bool   // its record is in the journal
	gone    bool   // forgotten
	// was is what an engine before this one last showed of it, for people only,
	// until it has stepped.
	was *TenantStatus
	// started is when this agent last started an instance of it.
	started time.Time
	// yielded is how often the attempt of that id let go of its action for a
	// repair; see gives.
	yielded struct {
		attempt string
		times   int
	}
	// waits is what a pass was last told to wait for; see tellWaits.
	waits string
}

func (m *member) busy() bool { return len(m.flight) > 0 }

// ending says that we are stopping or removing the instance: what it answers
// meanwhile says nothing about it.
func (m *member) ending(k plans.Key) bool {
	return slices.ContainsFunc(m.flight, func(a reconcile.Action) bool {
		return (a.Verb == reconcile.Stop || a.Verb == reconcile.Remove) && a.Key == k
	})
}

// work is what one tenant's turn wants done, in order.
type work struct {
	tenant  string
	actions []reconcile.Action
}

// turn is the outcome of one turn: Tx is committed before anything of work is
// begun. If the commit fails, the engine is stale and is made again.
type turn struct {
	Tx      journal.Tx
	Work    []work
	Reports []string  // tenants whose report changed
	stepped []*member // more than once where its permit changed
}

func newEngine(c Config, p *probes, places *places) *Engine {
	e := &Engine{
		owner: c.Owner, runtimes: c.Runtimes, storage: c.DefaultStorage, probes: p, log: c.Log, places: places, spread: c.Random, maxGap: c.MaxGap,
		plan: nil, answers: map[string]string{}, local: map[string]LocalDecision{}, heard: map[string]*heard{}, doubts: map[string]bool{},
		members: map[string]*member{}, stale: map[*member]bool{}, ready: map[*member]bool{},
		moved: map[string]bool{}, open: map[*member]bool{}, blocked: map[*member]bool{},
	}
	e.specs = newSpecs(c.Store)
	e.rollout.runs = reconcile.NewRollouts(c.Owner.Node)
	e.ports = newPorts(c.Owner.Fleet, c.Ports, c.Host)
	e.env = reconcile.Env{
		Fleet: c.Owner.Fleet, Node: c.Owner.Node, Runtime: c.DefaultRuntime,
		Port: e.ports.port, Core: e.specs.core, Service: e.specs.service,
		PointInTime: func(driver string) bool { return c.storageTraits(driver).PointInTime },
		CheapClone:  func(driver string) bool { return c.storageTraits(driver).CheapClone },
	}
	return e
}

// storageTraits are those of the storage of that name, the default's for none.
func (c *Config) storageTraits(name string) drivers.StorageTraits {
	if st, ok := c.Storages[cmp.Or(name, c.DefaultStorage)]; ok {
		return st.Traits()
	}
	return drivers.StorageTraits{}
}

// get returns the member of that name, made if need be.
func (e *Engine) get(name string) *member {
	m := e.members[name]
	if m == nil {
		m = &member{name: name, index: -1, report: &reconcile.Report{}}
		e.members[name] = m
	}
	return m
}

// touch notes news about m: it is looked at and stepped again.
func (e *Engine) touch(m *member) {
	e.stamp++
	m.news = e.stamp
	delete(e.ready, m)
	if !m.busy() || m.patient() {
		e.stale[m] = true
	}
}

// Touch says that a tenant may have moved, if it is one of ours.
func (e *Engine) Touch(name string) {
	if m := e.members[name]; m != nil {
		e.touch(m)
	}
}

// SetPlan sets what is wanted. Tenants whose part did not change are left alone.
// It returns the tenants with actions under way that are no longer wanted.
func (e *Engine) SetPlan(p *plans.Plan, now time.Time) (unwanted []string) {
	was := e.plan
	e.plan = p
	e.env.Commit = p.Commit
	answered := e.answers
	e.answers = e.inForce()
	changedAnswers := !maps.Equal(answered, e.answers)
	named := make(map[string]bool, len(p.Tenants))
	for i := range p.Tenants {
		t := &p.Tenants[i]
		named[t.Name] = true
		m := e.get(t.Name)
		if m.want != nil && reflect.DeepEqual(m.want, t) {
			m.want = t // the old plan is let go
			continue
		}
		target := t.Target()
		if target == m.rec.Target {
			target = m.rec.Target // the same digests, in memory once
		}
		if m.busy() && target != m.target {
			unwanted = append(unwanted, m.name)
		}
		m.want, m.target = t, target
		e.settles(m)
		e.touch(m)
	}
	for name, m := range e.members {
		if !named[name] && m.want != nil {
			m.want, m.target = nil, plans.Target{}
			if m.vacant() {
				e.forget(m) // its tombstone was the last of it
				continue
			}
			e.touch(m)
		} else if changedAnswers && m.report.Question != nil || was != nil && was.Elsewhere[name] != p.Elsewhere[name] {
			e.touch(m)
		}
	}
	order := make([]*member, 0, len(p.Tenants))
	for i := range p.Tenants {
		order = append(order, e.members[p.Tenants[i].Name])
	}
	for name, m := range e.members {
		if !named[name] {
			m.permit = reconcile.Permit{}
		}
	}
	wasOver := e.over
	if e.over = e.overBudget(p); !reflect.DeepEqual(e.over, wasOver) {
		for _, m := range e.members {
			if m.want != nil && m.want.Removed {
				e.touch(m)
			}
		}
	}
	e.unhear()
	e.doubt()
	e.rollout.plan(p, order)
	e.adopted(now)
	slices.Sort(unwanted)
	return unwanted
}

// accept writes down which commit's plan is in force.
func (e *Engine) accept(p *plans.Plan, now time.Time) {
	if err := e.pending.Put(journal.Meta, metaCommit, accepted{Commit: p.Commit, At: now}); err != nil {
		e.log.Error("commit not written down", "err", err)
	}
	e.note(reconcile.Event{Time: now, Kind: PlanAccepted,
		Text:   fmt.Sprintf("commit %s is in force: %d tenants", orWorktree(p.Commit), len(p.Tenants)),
		Fields: map[string]string{"commit": p.Commit}})
}

// vacant says that nothing is remembered of m, and nothing of it was seen.
func (m *member) vacant() bool {
	f := &m.facts
	return !m.stored && !m.busy() && len(f.Instances) == 0 && len(f.Datasets) == 0 && f.Route.Entry.Tenant == ""
}

func orWorktree(commit string) string {
	if commit == "" {
		return "(working tree)"
	}
	return commit
}

// accepted is the commit whose plan is in force, and since when.
type accepted struct {
	Commit string    `json:"commit"`
	At     time.Time `json:"at"`
}

// note adds an event of the agent's own to the next turn.
func (e *Engine) note(ev reconcile.Event) {
	e.pending.Events = append(e.pending.Events, ev)
	e.urgent = true
}

// Stale returns what must be looked at before the next steps, or false if
// nothing must. The first look is at everything.
func (e *Engine) Stale() (lookRequest, bool) {
	if !e.started {
		return e.Everything(), true
	}
	if len(e.stale) == 0 {
		return lookRequest{}, false
	}
	// Looking at a third of all one by one costs more than one look at all.
	if len(e.stale) > 32 && len(e.stale) > len(e.members)/3 {
		return e.Everything(), true
	}
	req := lookRequest{stamp: e.stamp, names: make([]string, 0, len(e.stale))}
	for m := range e.stale {
		req.names = append(req.names, m.name)
		req.addFiles(m)
	}
	slices.Sort(req.names)
	return req, true
}

// Everything returns the request for a full look.
func (e *Engine) Everything() lookRequest {
	req := lookRequest{stamp: e.stamp}
	for _, m := range e.members {
		req.addFiles(m)
	}
	return req
}

func (r *lookRequest) addFiles(m *member) {
	if m.want == nil {
		return
	}
	var files []string
	for _, services := range []map[string]plans.Service{m.want.Core.Services, m.want.Aside} {
		for _, s := range services {
			for _, f := range s.EnvFrom {
				files = append(files, f.File)
			}
		}
	}
	if len(files) == 0 {
		return
	}
	if r.files == nil {
		r.files = map[string][]string{}
	}
	slices.Sort(files)
	r.files[m.name] = slices.Compact(files)
}

// Saw takes in a look. Tenants without news of their own are stepped only if
// something about them changed.
func (e *Engine) Saw(s *sight) {
	if s.routerErr == nil {
		e.controller = s.controller
	}
	if s.names != nil {
		for _, name := range s.names {
			if m := e.members[name]; m != nil {
				e.saw(m, s)
			}
		}
		return
	}
	for _, name := range s.tenants() {
		e.get(name)
	}
	e.looked = s.at
	e.ports.sweep(s.at)
	if !e.started {
		e.started = true
		e.first(s)
	}
	for _, m := range e.members {
		e.saw(m, s)
	}
}

func (e *Engine) saw(m *member, s *sight) {
	before := m.facts
	runtime := e.runtimeName(m)
	m.facts = s.merge(before, m.name, e.drivenBy(m))
	if runtime != "" && e.runtimes[runtime] == nil {
		m.facts.Runtime.Err = &observed.Problem{Op: "look at instances of", Ref: runtime, Class: observed.Refused,
			Text: "this host has no such runtime", Hint: "name it under drivers in this host's configuration"}
	}
	m.facts.Preflight = before.Preflight
	m.settle()
	e.follow(m, before.Instances, s.at)
	m.seen = max(m.seen, s.stamp)
	if m.seen < m.news {
		return // looked at before the last thing that concerned it
	}
	if m.busy() {
		delete(e.stale, m)
		if m.patient() && moved(&before, &m.facts) && e.gives(m, s.at) {
			e.giving = append(e.giving, m.name)
		}
		return
	}
	if e.stale[m] || moved(&before, &m.facts) {
		delete(e.stale, m)
		e.ready[m] = true
	}
}

// settle lets go of memory: what is routed as the record says shares its routes,
// and checks are of use to an attempt only.
func (m *member) settle() {
	if seen, known := m.facts.Route.Entry.Routes, m.rec.Entry.Routes; slices.EqualFunc(seen, known, sameRoute) {
		m.facts.Route.Entry.Routes = known
	}
	if m.rec.Attempt == nil && !m.busy() {
		m.facts.Preflight = nil
	}
}

func sameRoute(a, b plans.EntryRoute) bool {
	return a.Host == b.Host && a.Path == b.Path && a.Service == b.Service && maps.Equal(a.Address, b.Address)
}

// runtimeName is the runtime that is in charge of m, "" for the default: the one
// that runs it, and before that the plan's.
func (e *Engine) runtimeName(m *member) string {
	name := ""
	if m.want != nil {
		name = m.want.Runtime
	}
	if cur := m.rec.Current; cur != nil {
		name = cmp.Or(cur.Runtime, name)
	}
	if name == e.env.Runtime {
		return ""
	}
	return name
}

// inCharge is the runtime that is in charge of m, by its name.
func (e *Engine) inCharge(m *member) string { return cmp.Or(e.runtimeName(m), e.env.Runtime) }

// drivenBy names what m has to do with: the runtime in charge, and the storages and
// parts of them that its plan names and its data are in.
func (e *Engine) drivenBy(m *member) drivenBy {
	by := drivenBy{runtime: e.inCharge(m), storage: e.storage, data: m.rec.Data}
	if m.want != nil {
		by.volumes = m.want.Volumes
	}
	return by
}

// elsewhere is the node the plan puts a tenant on, if that is not this one.
func (e *Engine) elsewhere(name string) string {
	if e.plan == nil {
		return ""
	}
	return e.plan.Elsewhere[name]
}

// settles tells the drivers which runtime is in charge of m.
func (e *Engine) settles(m *member) {
	if e.places != nil {
		e.places.want(m.name, e.runtimeName(m))
	}
}

// follow keeps the probes of m's running instances, and brings their answers in.
func (e *Engine) follow(m *member, before []observed.Instance, now time.Time) {
	for i := range before {
		if !slices.ContainsFunc(m.facts.Instances, func(in observed.Instance) bool {
			return in.ID == before[i].ID && in.Phase == observed.Running
		}) {
			e.probes.forget(idOf(&before[i]))
		}
	}
	for i := range m.facts.Instances {
		in := &m.facts.Instances[i]
		was := slices.IndexFunc(before, func(b observed.Instance) bool {
			return b.ID == in.ID && b.Phase == in.Phase && b.Restarts == in.Restarts
		})
		if in.Log == "" {
			// A look at everything reads no logs, and neither does one at something
			// that was just started again: what was read before still tells.
			if b := slices.IndexFunc(before, func(b observed.Instance) bool { return b.ID == in.ID }); b >= 0 {
				in.Log = before[b].Log
			}
		}
		if in.Phase != observed.Running || in.Job {
			continue
		}
		if m.ending(in.Key) {
			if was >= 0 {
				in.Health = before[was].Health
			}
			continue
		}
		e.specs.of(m)
		spec, ok := e.specs.service(in.Digest)
		switch {
		case !ok:
			in.Health = observed.Health{Err: &observed.Problem{Op: "probe", Ref: in.Key.String(),
				Class: observed.Environment, Text: "the spec it was made from is not stored"}}
		case spec.Health == nil:
			// Nothing to ask: that it runs is its proof.
			in.Health = observed.Health{Verdict: observed.Healthy, Since: in.Started, At: now}
		default:
			h := spec.Health.Effective()
			spread := time.Duration(0)
			if now.Sub(in.Started) > h.Interval.Std() {
				spread = time.Duration(e.spread() * float64(h.Interval))
			}
			in.Health = e.probes.watch(in, h, now, spread)
		}
	}
}

// Skip takes out of every tenant's clocks time that passed unseen: it proves no
// health and uses up no deadline.
func (e *Engine) Skip(unseen time.Duration) {
	e.rollout.runs.Skip(unseen)
	for _, m := range e.members {
		if !m.rec.Clock.IsZero() {
			m.rec.Clock = m.rec.Clock.Add(unseen)
		}
	}
}

// Idle says that nothing waits for a look or a step and nothing is under way.
func (e *Engine) Idle() bool {
	return e.started && len(e.stale) == 0 && len(e.ready) == 0 && !e.urgent && e.inFlight == 0
}

// Settled says that nothing is left for a pass to wait for.
func (e *Engine) Settled() bool { return e.Idle() && len(e.open) == 0 && !e.rollout.runs.Moves() }
