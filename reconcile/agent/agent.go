package agent

import (
	"log/slog"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
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
	Router         drivers.Router
	Prober         drivers.Prober

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

	// LookEvery is the time between two looks at everything, plus up to a
	// fifth of it drawn from Random; 0 is 5 min. LookLimit bounds one look; 0 is 20 s.
	LookEvery time.Duration
	LookLimit time.Duration

	// MaxGap is the longest time without a turn that still counts as time
	// seen; what lies beyond is a gap and proves nothing. 0 is 2 min.
	MaxGap time.Duration

	// Clock tells the time; nil is the system's.
	Clock Clock
	// Random draws from [0,1); nil is math/rand/v2. It spreads looks and
	// retries and decides nothing.
	Random func() float64

	// Log gets constant messages with pairs; nil discards them.
	Log *slog.Logger
	// Events is called with every event once it is durable, in order, from
	// the loop: it must not block. May be nil; see also Agent.Subscribe.
	Events func(reconcile.Event)
	// Progress is called as actions start, move and end, from many
	// goroutines. May be nil.
	Progress func(Progress)
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
