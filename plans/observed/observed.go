// Package observed holds what can be seen of a host: instances, routes,
// datasets, health and the class of what went wrong. Drivers return these
// values and the core consumes them. Nothing here is desired state.
package observed

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Sight says whether a part of the world could be seen, and when it was last.
// Not seen is neither healthy nor failed: it is unknown.
type Sight struct {
	At  time.Time `json:"at,omitzero"`   // of the last complete look
	Err *Problem  `json:"err,omitempty"` // nil: seen at At; else blind since the look after At
}

// Blind says that the last look failed, or that there was none yet.
func (s Sight) Blind() bool { return s.Err != nil || s.At.IsZero() }

// Tenant is all that is seen of one tenant: the facts of a step.
type Tenant struct {
	Runtime Sight `json:"runtime"`
	Router  Sight `json:"router"`
	Storage Sight `json:"storage"`

	Instances []Instance `json:"instances,omitempty"` // owned by us, sorted by Key
	Foreign   []string   `json:"foreign,omitempty"`   // objects that bear a name we need and are not ours
	Route     Route      `json:"route,omitzero"`
	Datasets  []Dataset  `json:"datasets,omitempty"` // owned by us, sorted by ID
	// Preflight are the checks of the generation under way, by check id.
	Preflight []Check `json:"preflight,omitempty"`
	// Inputs are the keyed digests of host files the plan names, by path.
	Inputs map[string]string `json:"inputs,omitempty"`
}

// Instance finds an instance by slot and service; nil if it was not seen.
func (t *Tenant) Instance(slot plans.Slot, service string) *Instance {
	for i := range t.Instances {
		if t.Instances[i].Slot == slot && t.Instances[i].Service == service {
			return &t.Instances[i]
		}
	}
	return nil
}

// Phase is what an instance does.
type Phase string

// The phases. Starting covers created and not yet running.
const (
	Starting Phase = "starting"
	Running  Phase = "running"
	Exited   Phase = "exited"
)

// Instance is one instance as the runtime shows it.
type Instance struct {
	plans.Key
	ID         string         `json:"id"`                   // the engine's own, changes when it is made again
	Runtime    string         `json:"runtime,omitempty"`    // that runs it, by the host's name for it
	Digest     string         `json:"digest"`               // service digest it was made from
	Generation string         `json:"generation,omitempty"` // of its core
	Attempt    string         `json:"attempt,omitempty"`
	Image      string         `json:"image,omitempty"` // digest that really runs
	Job        bool           `json:"job,omitempty"`
	Phase      Phase          `json:"phase"`
	Started    time.Time      `json:"started,omitzero"`
	Restarts   int            `json:"restarts,omitempty"` // by the engine, since made
	Exit       int            `json:"exit,omitempty"`     // of an exited one
	Restarting bool           `json:"restarting,omitempty"`
	Routed     bool           `json:"routed,omitempty"` // restarts by itself after a reboot
	Ports      map[string]int `json:"ports,omitempty"`  // host ports, by port name
	Inputs     string         `json:"inputs,omitempty"` // keyed digest of host inputs it was made with
	Health     Health         `json:"health,omitzero"`  // kept by the agent from probes of this very ID
	Log        string         `json:"log,omitempty"`    // last lines of one that exited or fails; the agent may leave it out
}

// Verdict of the probes.
type Verdict string

// The verdicts. Unproven is "not enough answers yet", and also the verdict of a
// prober that cannot see.
const (
	Unproven Verdict = ""
	Healthy  Verdict = "healthy"
	Failing  Verdict = "failing"
)

// Health is the run of probe answers of one instance (of one ID).
type Health struct {
	Verdict Verdict   `json:"verdict,omitempty"`
	Since   time.Time `json:"since,omitzero"` // when the verdict became so
	At      time.Time `json:"at,omitzero"`    // of the last answer
	Run     int       `json:"run,omitempty"`  // answers in a row of the last kind
	Last    string    `json:"last,omitempty"` // the last answer in words, secrets removed
	Err     *Problem  `json:"err,omitempty"`  // the prober could not see at At
}

// Route is what the router shows of one tenant.
type Route struct {
	Entry    plans.Entry          `json:"entry,omitzero"` // as the router has it; zero Tenant: no entry
	Revision uint64               `json:"revision,omitempty"`
	Held     bool                 `json:"held,omitempty"` // the hold of Entry is confirmed and not expired
	Expired  bool                 `json:"expired,omitempty"`
	Waiting  int                  `json:"waiting,omitempty"`
	Slots    map[plans.Slot]Usage `json:"slots,omitempty"`
}

// Usage counts what a slot answered since it was last switched to.
type Usage struct {
	InFlight int    `json:"inFlight,omitempty"`
	Requests uint64 `json:"requests,omitempty"`
	Writes   uint64 `json:"writes,omitempty"` // requests with a method that is not safe (RFC 9110 §9.2.1)
	Errors   uint64 `json:"errors,omitempty"` // 5xx, and no answer at all
	Cut      uint64 `json:"cut,omitempty"`    // requests ended by us
	Millis   uint64 `json:"millis,omitempty"` // time to answer, summed
}

// Role of a dataset.
type Role string

// The roles. Origin is a snapshot.
const (
	Live      Role = "live"
	Rehearsal Role = "rehearsal"
	Origin    Role = "origin"
	Discarded Role = "discarded"
)

// Dataset is one piece of storage owned by us: a live volume, a snapshot, a clone.
type Dataset struct {
	ID         string     `json:"id"` // the driver's name for it
	Tenant     string     `json:"tenant"`
	Driver     string     `json:"driver,omitempty"` // that keeps it, by the host's name for it; set by the agent
	Volume     string     `json:"volume"`
	Slot       plans.Slot `json:"slot,omitempty"` // it serves; Shared for a volume all slots share
	Role       Role       `json:"role"`
	Attempt    string     `json:"attempt,omitempty"`
	Generation string     `json:"generation,omitempty"`
	Origin     string     `json:"origin,omitempty"`   // ID of the snapshot it was cloned from; of a snapshot, what it was taken of
	Path       string     `json:"path,omitempty"`     // where it is on the host
	Ready      bool       `json:"ready"`              // complete: a copy in progress is not
	Tuning     string     `json:"tuning,omitempty"`   // Volume.Tuning it was last given by us
	Lacks      string     `json:"lacks,omitempty"`    // what a person set on its origin and it could not be given
	Imported   bool       `json:"imported,omitempty"` // taken over: a person had these data before us
	Busy       bool       `json:"busy,omitempty"`
	// Doomed says that its destruction has begun and is not over: it is not ready,
	// Discarded, of no origin, and all that can be done with it is to destroy it.
	Doomed  bool      `json:"doomed,omitempty"`
	Clones  []string  `json:"clones,omitempty"`
	Holds   []string  `json:"holds,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Bytes   int64     `json:"bytes,omitempty"`   // it takes by itself, or -1 if the look did not tell
	Written int64     `json:"written,omitempty"` // since its newest snapshot, or -1 if not known
	Problem *Problem  `json:"problem,omitempty"` // why it is not ready, where that is known
}

// Check is one line of the preflight table.
type Check struct {
	ID      string    `json:"id"`  // "image/app", "port/app/http", "file/…", "space/…", "way-back/…"
	For     string    `json:"for"` // generation (or service digest) it was made for
	At      time.Time `json:"at,omitzero"`
	OK      bool      `json:"ok"`
	Text    string    `json:"text,omitempty"`
	Problem *Problem  `json:"problem,omitempty"` // why not
	// Free is what was free of each storage the attempt writes to, in bytes.
	Free map[string]int64 `json:"free,omitempty"`
}
