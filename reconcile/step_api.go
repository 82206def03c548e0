package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Input is everything a step may know.
type Input struct {
	Name string
	// Want is the plan's word, nil where the plan does not name the tenant.
	Want *plans.Tenant
	// Elsewhere is the node the plan puts the tenant on, where Want is nil
	// because that is not this one.
	Elsewhere string
	// Permit is what the rollout lets the tenant move to.
	Permit Permit
	Facts  *observed.Tenant
	// Results of the actions of the last decision; each is seen once.
	Results []Result
	// Answers are the decisions in force, by question id.
	Answers map[string]string
	// Local is a person's word given on this host, seen once.
	Local Local
	// Data is a person's word on the tenant's data, given on this host, seen once.
	Data *DataWord
	// Over is set where the plan removes more tenants than its budget.
	Over *Removals
	// Retry is a person's word, given on the host, that what was withheld or
	// flapping may be tried again. It is seen once.
	Retry bool
	// Now is the agent's clock: journalled, never backwards. It follows the
	// date, so that soaks and retentions end on time whoever slept. How much
	// time counts for deadlines is Now less Record.Clock, which the agent moves
	// over time that nobody saw.
	Now time.Time
	Env *Env
}

// Local is a person's word given on this host and not in git.
type Local string

// GoBack leaves the plan's target: the tenant goes back to what it kept, and
// the target is withheld (rolledBack) until it changes.
const GoBack Local = "rollback"

// Env is what a step may ask of its host. All are lookups without effects.
type Env struct {
	Fleet  string
	Node   string
	Commit string
	// Runtime is the name of the runtime of tenants that name none.
	Runtime string
	// Port is the host port kept for a slot's service port; 0: none is free.
	Port func(k plans.Key, name string) int
	// Core and Service return what a digest names, from the plan in force or
	// from what is stored beside the journal.
	Core    func(generation string) (plans.Core, bool)
	Service func(digest string) (plans.Service, bool)
	// Storage traits by driver name.
	PointInTime func(driver string) bool
	// CheapClone says that its snapshots and clones copy no data.
	CheapClone func(driver string) bool
	// Empty says that the journal was empty when the agent started and nobody
	// has said `adopt`: serve and repair, start nothing new.
	Empty bool
	// OtherController is the id found beside the route table, if it is not ours.
	OtherController string
}

// Permit is what the rollout lets a tenant move to. The zero Permit lets it
// stay where it is, be repaired, and finish or undo the step it is in.
type Permit struct {
	Go     bool         `json:"go,omitempty"`
	Target plans.Target `json:"target,omitzero"` // Go is for this target only
	Why    string       `json:"why,omitempty"`   // why not, for status
	// Open says that the rollout the tenant was moved by is not closed: the
	// slot kept for the way back is not retired, however long its soak.
	Open bool `json:"open,omitempty"`
	// Rollout is the id of the rollout that says so.
	Rollout string `json:"rollout,omitempty"`
	// Retry lifts what is withheld of Target.
	Retry bool `json:"retry,omitempty"`
	// Withhold is the reason Target is to be withheld for (aborted,
	// rolledBack). With Back the tenant also goes back to the generation From,
	// which it served before.
	Withhold string `json:"withhold,omitempty"`
	Back     bool   `json:"back,omitempty"`
	From     string `json:"from,omitempty"`
}

// Decision is what a step wants done, and what it has to say.
type Decision struct {
	// Actions are carried out one after the other; the first that fails ends
	// the list. Results of all that were tried come with the next Input.
	Actions []Action
	// Wake is when to step again though nothing was seen; zero: only on news.
	Wake   time.Time
	Report Report
	Events []Event
	// Heard are the questions whose answer this step went by.
	Heard []string
}

// Phase is a row of the tenant machine (docs/concepts: a tenant's machine).
type Phase string

// The rows, in order.
const (
	Idle      Phase = ""
	Preflight Phase = "preflight"
	Quiesce   Phase = "quiesce" // hold, drain, stop writers, final snapshot
	Prepare   Phase = "prepare"
	Launch    Phase = "start"
	Verify    Phase = "verify"
	Switch    Phase = "switch"
	Bake      Phase = "bake"
	Drain     Phase = "drain"
	Soak      Phase = "soak"
	Retire    Phase = "retire"
	Repair    Phase = "repair"
	Removing  Phase = "removing"
)

// State of a tenant, as a person sees it.
type State string

// The states.
const (
	Converged     State = "converged"
	Progressing   State = "progressing"
	Waiting       State = "waiting"
	Held          State = "held"     // by a person's word
	HeldBack      State = "heldBack" // with a Reason
	Degraded      State = "degraded"
	StateRemoving State = "removing"
	Unknown       State = "unknown"
)

// Reason codes of HeldBack.
const (
	Failed     = "failed"
	Aborted    = "aborted"
	RolledBack = "rolledBack"
	Flapping   = "flapping"
	Vanished   = "vanished"
	Blocked    = "blocked"
)

// Report is what a tenant's machine says of itself: to the rollout, to status.
type Report struct {
	Tenant string       `json:"tenant"`
	State  State        `json:"state"`
	Reason string       `json:"reason,omitempty"`
	Phase  Phase        `json:"phase,omitempty"`
	Since  time.Time    `json:"since"`
	Why    string       `json:"why"`
	Next   string       `json:"next,omitempty"`
	Target plans.Target `json:"target,omitzero"` // the plan's
	Op     Op           `json:"op"`              // towards Target
	// Active is the routed slot (or for a tenant without routes the one that
	// runs), Generation what it was made from.
	Active     plans.Slot `json:"activeSlot,omitempty"`
	Generation string     `json:"generation,omitempty"`
	// Release is the template's release the tenant last reached whole.
	Release string `json:"release,omitempty"`
	// Done says that the target is reached, past bake and drained: what the
	// rollout counts as upgraded. Failed that this target failed here, and
	// Restored that the tenant serves what it served before.
	Done     bool `json:"done,omitempty"`
	Failed   bool `json:"failed,omitempty"`
	Restored bool `json:"restored,omitempty"`
	// FailedBy is why it failed, by itself: Why also says what comes of it.
	FailedBy string `json:"failedBy,omitempty"`
	// Reached is the target last reached whole.
	Reached plans.Target `json:"reached,omitzero"`
	// NoWayBack says why the tenant cannot go back though the rollout told it to.
	NoWayBack string `json:"noWayBack,omitempty"`
	// OneWay says why the tenant could not be taken back from Target to what it
	// came from, were it told to; empty where it could be, and where there is
	// nothing to take back.
	OneWay string `json:"oneWay,omitempty"`
	// BackFailed says why the last way back from Target was given up.
	BackFailed string `json:"backFailed,omitempty"`
	// InMotion says that an attempt is under way, or the next one of a way back is
	// due, ToTarget that it is one to Target, or back from it: not one to something
	// the plan wanted before.
	InMotion bool `json:"inMotion,omitempty"`
	ToTarget bool `json:"toTarget,omitempty"`
	// Kept is the slot kept for the way back, until KeptUntil.
	Kept      plans.Slot `json:"kept,omitempty"`
	KeptUntil time.Time  `json:"keptUntil,omitzero"`
	Question  *Question  `json:"question,omitempty"`
	// Unwell says what is wrong with what serves, whatever the State is about,
	// and UnwellSince since when. What was wrong when sight was lost is said until
	// it is seen to be well. Unseen says why what serves is not known to be well,
	// nor to be unwell. UnwellLog is the last output of what is unwell, as far as
	// it is seen now. Proving is since when something of it runs that was started
	// lately and has not proved itself yet. All are empty while an attempt is under
	// way.
	Unwell      string    `json:"unwell,omitempty"`
	UnwellSince time.Time `json:"unwellSince,omitzero"`
	UnwellLog   string    `json:"unwellLog,omitempty"`
	Unseen      string    `json:"unseen,omitempty"`
	Proving     time.Time `json:"proving,omitzero"`
	Drift       []Drift   `json:"drift,omitempty"`
	// Problem is the last one met on the way to Target.
	Problem *observed.Problem `json:"problem,omitempty"`
	// Specs are the digests of specs whose way back must be kept; Images
	// the images of them. The agent prunes nothing that is named here.
	Specs  []string `json:"specs,omitempty"`
	Images []string `json:"images,omitempty"`
}

// Question waits for a person.
type Question struct {
	ID      string            `json:"id"`
	Since   time.Time         `json:"since"`
	Text    string            `json:"text"`
	Answers map[string]string `json:"answers"` // answer → what it would do
}

// Drift is one way in which the host moved without the plan.
type Drift struct {
	Kind string `json:"kind"` // missing, stopped, changed, extra, route, inputsChanged
	What string `json:"what"`
	Text string `json:"text"`
}

// Op is the word of change, and the glyph printed for it.
type Op rune

// The words of change. Replace starts the new before the old goes; Recreate
// stops the old first; Back is a target this tenant ran that is still there.
const (
	Keep     Op = ' '
	Add      Op = '+'
	Replace  Op = '±'
	Again    Op = '∓'
	Update   Op = '~'
	Flip     Op = '⇄'
	Backward Op = '←'
	Delete   Op = '-'
	Hold     Op = '='
)

// Event is one thing that happened, with a stable name. Fields hold no secret.
type Event struct {
	Time   time.Time         `json:"time"`
	Kind   string            `json:"kind"` // "tenant.switched", …
	Tenant string            `json:"tenant,omitempty"`
	Text   string            `json:"text"`
	Fields map[string]string `json:"fields,omitempty"`
}
