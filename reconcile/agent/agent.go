package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// Config is all an Agent works with. Owner, Runtimes, Router, Prober and Store
// are required; every other field has a default.
type Config struct {
	// Owner is the mark on everything we make. Owner.Controller is the id made
	// with the state directory (journal.Bolt.Controller).
	Owner drivers.Owner

	// Runtimes and Storages by the name a plan uses for them. A tenant that
	// names none gets the default; with one entry that is the default.
	Runtimes       map[string]drivers.Runtime
	DefaultRuntime string
	Storages       map[string]drivers.Storage
	DefaultStorage string
	// KeepFree is what stays free of each storage for undoing, in bytes; 0 is
	// DefaultKeepFree, less than 0 is nothing.
	KeepFree int64
	Router   drivers.Router
	Prober   drivers.Prober

	// Store is the journal. The Agent does not close it.
	Store journal.Store
	// Dir is the state directory: kept inputs (0600) and the control socket
	// are in it. "" keeps no inputs, and host files are used where they are.
	Dir string

	// Ports is the range host ports are chosen from, both ends included.
	// Zero: 20000 to 29999.
	Ports PortRange

	// Parallel is how many tenants are acted on at a time; 0 is 4. Probes is
	// how many probes run at a time; 0 is 16.
	Parallel int
	Probes   int

	// AllowLocal lets people on this host answer questions and take rollouts and
	// tenants back without git.
	AllowLocal bool

	// LookEvery is the time between two looks at everything, plus up to a
	// fifth of it drawn from Random; 0 is 5 min. LookLimit bounds one look; 0 is 20 s.
	LookEvery time.Duration
	LookLimit time.Duration

	// MaxGap is by how much a turn may come late (the machine slept, the clock
	// was set) and its time still counts as seen. A longer gap proves nothing
	// and uses up no deadline. Of the time between two processes at most this
	// much counts. Soaks and retentions go by the date. 0 is 2 min.
	MaxGap time.Duration

	// Fetch reads the plan repository now and calls SetPlan with what it
	// accepts, for whoever asks over the control socket. May be nil.
	Fetch func(context.Context) error

	// Notices says for Status what of the host works and is not as it should be.
	// It must return at once. May be nil.
	Notices func() []string

	// Host answers what preflight asks of the machine; nil is this one.
	Host Host
	// Clock tells the time; nil is the system's.
	Clock Clock
	// Random draws from [0,1); nil is math/rand/v2. It spreads looks and
	// retries and decides nothing.
	Random func() float64

	// Settle is called before every turn of the loop. A simulation lets all that
	// happens at the same moment come to its end in it, so that its runs repeat.
	// May be nil.
	Settle func()

	// Log gets constant messages with pairs; nil discards them.
	Log *slog.Logger
	// Events is called with every event once it is durable, in order, from
	// the loop: it must not block. May be nil; see also Agent.Subscribe.
	Events func(reconcile.Event)
	// Progress is called as actions start, move and end, and as a tenant waits,
	// from many goroutines, one at a time: it must neither block nor call the
	// agent. May be nil.
	Progress func(Progress)
}

// withDefaults fills every field that was left out, or says what is missing.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Owner.Fleet == "" || c.Owner.Node == "":
		return c, errors.New("the owner's fleet and node are not set")
	case len(c.Runtimes) == 0:
		return c, errors.New("no runtime is set")
	case c.Router == nil || c.Prober == nil || c.Store == nil:
		return c, errors.New("router, prober and store must be set")
	}
	if c.Ports == (PortRange{}) {
		c.Ports = DefaultPorts
	}
	if c.Ports.From < 1 || c.Ports.To > 65535 || c.Ports.To < c.Ports.From {
		return c, fmt.Errorf("ports %d to %d are no range", c.Ports.From, c.Ports.To)
	}
	fill(&c.Parallel, DefaultParallel)
	fill(&c.Probes, DefaultProbes)
	fill(&c.LookEvery, DefaultLookEvery)
	fill(&c.LookLimit, DefaultLookLimit)
	fill(&c.MaxGap, DefaultMaxGap)
	c.KeepFree = max(0, cmp.Or(c.KeepFree, DefaultKeepFree))
	if c.Host == nil {
		c.Host = LocalHost{}
	}
	if c.Clock == nil {
		c.Clock = System{}
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func fill[T int | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// PortRange is a range of host ports, both ends included.
type PortRange struct{ From, To int }

// Progress is the state of one action under way, for a person to watch.
type Progress struct {
	Tenant string           `json:"tenant"`
	Action reconcile.Action `json:"-"`
	ID     string           `json:"id"`
	Verb   reconcile.Verb   `json:"verb"`
	Target string           `json:"target"`
	// Moved is set while bytes move (a pull, a copy).
	Moved *drivers.Progress `json:"moved,omitempty"`
	// Result is set when the action has ended.
	Result *reconcile.Result `json:"result,omitempty"`
}

// Defaults of Config.
const (
	DefaultParallel  = 4
	DefaultProbes    = 16
	DefaultLookEvery = 5 * time.Minute
	DefaultLookLimit = 20 * time.Second
	DefaultMaxGap    = 2 * time.Minute
)

// DefaultPorts is the range host ports are chosen from.
var DefaultPorts = PortRange{20000, 29999}

// Agent drives one node's tenants. Its methods may be called from any
// goroutine; Pass and Run run the loop, one of them at a time.
type Agent struct {
	hands
	cfg     Config
	clock   Clock
	time    *steady
	store   journal.Store
	log     *slog.Logger
	exec    *executor
	looker  *looker
	probes  *probes
	inputs  *inputs
	redact  *Redactor
	metrics *metrics

	nudge   chan struct{} // buffered 1: many reasons to take a turn, one turn
	kick    chan struct{} // buffered 1: the prober has something new to wait for
	looping sync.Mutex    // held while the loop runs

	mu       sync.Mutex // guards everything below
	engine   *Engine
	crew     crew
	running  map[string]*job
	looking  bool
	pruning  bool
	fullDue  time.Time // next full look
	turned   time.Time // when the last turn was
	expected time.Time // when the next turn is due; zero: no loop runs
	acted    int       // actions carried out since New
	plan     *plans.Plan
	planAt   time.Time // when plan was set
	source   SourceState
	journal  JournalState
	wrote    bool          // the journal was written to since New
	changed  chan struct{} // closed and made anew when a report changed
	ears     map[*ear]bool
}

// SourceState says how the plan repository is.
type SourceState struct {
	// Since is when the repository could first not be read; zero: it can.
	Since   time.Time         `json:"since,omitzero"`
	Problem *observed.Problem `json:"problem,omitempty"`
}

// JournalState says how the journal is.
type JournalState struct {
	// Since is when it could first not be read or written; zero: it can.
	Since   time.Time         `json:"since,omitzero"`
	Problem *observed.Problem `json:"problem,omitempty"`
}

// New returns an agent on what the journal remembers. It does nothing yet.
func New(c Config) (*Agent, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure agent: %w", err)
	}
	h, err := newHands(c)
	if err != nil {
		return nil, fmt.Errorf("configure agent: %w", err)
	}
	c.DefaultRuntime, c.DefaultStorage = h.defaultRuntime, h.defaultStorage
	last, err := journalledClock(c.Store)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		time: newSteady(c.Clock, last), hands: h, cfg: c, clock: c.Clock, store: c.Store, log: c.Log, redact: &Redactor{},
		nudge: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		crew:    crew{short: lane{limit: c.Parallel}, long: lane{limit: c.Parallel}},
		running: map[string]*job{}, changed: make(chan struct{}), ears: map[*ear]bool{},
	}
	a.inputs = newInputs(c.Dir, c.Host, a.redact)
	if err := a.inputs.feed(); err != nil {
		return nil, fmt.Errorf("read kept inputs: %w", err)
	}
	a.probes = newProbes(c.Prober, a.redact)
	a.exec = &executor{hands: h, host: c.Host, inputs: a.inputs, redact: a.redact, now: a.now, progress: a.moves, keepFree: c.KeepFree}
	a.looker = &looker{hands: h, inputs: a.inputs, now: a.now, limit: c.LookLimit,
		redact: a.redact, unwell: a.probes.unwell}
	a.metrics = newMetrics(a)
	return a, a.load()
}

// load makes the engine from the journal.
func (a *Agent) load() error {
	e := newEngine(a.cfg, a.probes, a.places)
	e.steps = turnSteps
	interrupted, err := e.Load(a.store, a.store.Fresh() && !a.wrote, a.now())
	if err != nil {
		return fmt.Errorf("load agent: %w", err)
	}
	if interrupted > 0 {
		a.log.Warn("actions interrupted", "count", interrupted)
	}
	if a.plan != nil {
		e.SetPlan(a.plan, a.now())
	}
	if old := a.engine; old != nil {
		e.looked = old.looked
		for name, m := range old.members {
			e.shows(name, m)
		}
	}
	a.engine, a.fullDue = e, time.Time{}
	return nil
}

// now is the agent's clock.
func (a *Agent) now() time.Time { return a.time.now() }

// SetPlan sets what is wanted: the accepted plan of a commit. Setting an equal
// one changes nothing. It ends a source problem.
func (a *Agent) SetPlan(p *plans.Plan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.source = SourceState{}
	if a.plan == p {
		return
	}
	commit := a.plan == nil || a.plan.Commit != p.Commit
	if was, err := AcceptedCommit(a.store); err == nil && a.plan == nil && was != "" && was == p.Commit {
		commit = false // it was in force when the last agent ended
	}
	a.plan, a.planAt = p, now
	for _, tenant := range a.engine.SetPlan(p, now) {
		if j := a.running[tenant]; j != nil && j.action().Verb == reconcile.Pull {
			j.cancel(errNotWanted)
		}
	}
	if commit {
		a.engine.accept(p, now)
	}
	a.Nudge()
}

// SetSourceProblem says that the plan repository cannot be read since then. The
// agent goes on with the last plan it was given. A nil problem ends it.
func (a *Agent) SetSourceProblem(since time.Time, problem *observed.Problem) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if problem == nil {
		a.source = SourceState{}
		return
	}
	a.metrics.source.Inc()
	if a.source.Problem == nil {
		a.log.Warn("source unreadable", "since", since, "problem", problem.Error())
		a.engine.note(reconcile.Event{Time: a.now(), Kind: SourceUnreadable,
			Text: fmt.Sprintf("the newest plan cannot be taken since %s: %s; going on with the last accepted plan", since.UTC().Format(time.RFC3339), problem.Error())})
		a.Nudge()
	}
	a.source = SourceState{Since: since, Problem: a.exec.clean(*problem)}
}

// Rollback is a person's word on this host: leave the plan's target and go back
// to what was kept. The target is withheld until it changes. When it returns nil
// the word is written down.
func (a *Agent) Rollback(tenant string) error { return a.command(tenant, reconcile.GoBack) }

// Run drives the tenants until ctx ends, and returns its cause. If the journal
// cannot be written it acts on nothing, says so in Status and Healthy, and
// tries again with backoff.
func (a *Agent) Run(ctx context.Context) error {
	pause := time.Second
	for {
		begin := a.clock.Now()
		err := a.loop(ctx, nil)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		a.log.Error("loop ended", "err", err, "again", pause)
		if a.clock.Now().Sub(begin) > time.Minute {
			pause = time.Second
		}
		t := a.clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C():
		}
		pause = min(2*pause, time.Minute)
		if err := a.reload(); err != nil {
			a.log.Error("journal unreadable", "err", err)
		}
	}
}

// reload makes the engine anew after the journal could not be written: what
// was decided meanwhile is not written down, so it was not decided.
func (a *Agent) reload() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.load()
	if err != nil {
		a.journalBroke(err)
	}
	return err
}

// journalBroke notes that the journal cannot be read or written. The caller
// holds mu.
func (a *Agent) journalBroke(err error) {
	if a.journal.Problem == nil {
		a.journal.Since = a.now()
	}
	p := observed.Wrap("write journal", "", observed.Environment, err, "free some space in the state directory and see that it can be written; reconcile tries again by itself")
	a.journal.Problem = a.exec.clean(*p)
}
