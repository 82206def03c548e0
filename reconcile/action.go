package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Verb is what an action does; the executor maps each to one driver call.
type Verb string

// The verbs, with the fields of Action each uses.
const (
	Check     Verb = "check"     // Checks: the preflight table of Generation or Digest; answers arrive in facts
	Pull      Verb = "pull"      // Image
	Create    Verb = "create"    // Volume
	Snapshot  Verb = "snapshot"  // Datasets
	Clone     Verb = "clone"     // Dataset (the snapshot), Volume
	Promote   Verb = "promote"   // Dataset
	SetRole   Verb = "setRole"   // Dataset, Role, Slot
	Tune      Verb = "tune"      // Dataset, Volume: quota and the like, in place
	Destroy   Verb = "destroy"   // Dataset
	Retain    Verb = "retain"    // Dataset (a snapshot), Tag: nobody destroys it
	Release   Verb = "release"   // Dataset, Tag
	Measure   Verb = "measure"   // Dataset, Datasets (one: the snapshot since which); answers with Bytes
	Start     Verb = "start"     // Instance
	Stop      Verb = "stop"      // Key, Grace
	Remove    Verb = "remove"    // Key
	SetRouted Verb = "setRouted" // Key, Routed
	Route     Verb = "route"     // Entry, Revision: the switch, a hold, a release, an edit
	Unroute   Verb = "unroute"   // Revision
	Confirm   Verb = "confirm"   // Entry: a marked request must be answered by Entry.Slot
	Cut       Verb = "cut"       // Slot
	Forget    Verb = "forget"    // the tenant is gone: drop its record, ports and kept inputs
)

// Action is one order to the outside. ID is derived from tenant, attempt, step
// and subject, so that the same decision has the same ID. The zero fields are
// those its verb does not use.
type Action struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	Verb   Verb   `json:"verb"`
	// Step is the row of the tenant machine it belongs to.
	Step Phase  `json:"step"`
	Why  string `json:"why"`

	Slot       plans.Slot      `json:"slot,omitempty"`
	Key        plans.Key       `json:"key,omitzero"`
	Generation string          `json:"generation,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Image      string          `json:"image,omitempty"`
	Instance   *plans.Instance `json:"instance,omitempty"`
	Entry      *plans.Entry    `json:"entry,omitempty"`
	Revision   uint64          `json:"revision,omitempty"`
	Volume     *VolumeOrder    `json:"volume,omitempty"`
	Dataset    string          `json:"dataset,omitempty"`
	Datasets   []string        `json:"datasets,omitempty"`
	Role       observed.Role   `json:"role,omitempty"`
	Tag        string          `json:"tag,omitempty"` // of a hold
	Routed     bool            `json:"routed,omitempty"`
	Grace      time.Duration   `json:"grace,omitempty"`
	Checks     []CheckOrder    `json:"checks,omitempty"`

	// Limit bounds the driver call.
	Limit time.Duration `json:"limit"`
}

// VolumeOrder names the dataset an action is about.
type VolumeOrder struct {
	Name       string        `json:"name"`
	Slot       plans.Slot    `json:"slot"`
	Volume     plans.Volume  `json:"volume"`
	Attempt    string        `json:"attempt,omitempty"`
	Generation string        `json:"generation,omitempty"`
	Commit     string        `json:"commit,omitempty"` // of the plan that asks for it
	Role       observed.Role `json:"role"`
}

// CheckOrder is one line of the preflight table to be made. Kind says which
// fields matter.
type CheckOrder struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // image, present, port, hostFile, traits, volume, space, volumes, data
	// Image to be present; Port to be free on loopback; File on the host to be
	// readable; Instance whose fields the runtime must be able to honour.
	Image   string         `json:"image,omitempty"`
	Port    int            `json:"port,omitempty"`
	Key     plans.Key      `json:"key,omitzero"`
	File    string         `json:"file,omitempty"`
	Service *plans.Service `json:"service,omitempty"`
	Volume  string         `json:"volume,omitempty"`
	Spec    *plans.Volume  `json:"spec,omitempty"`
	// Rooms are what needs space; of each storage in Above more must be free than
	// that many bytes, by the names that Check.Free gave them. Dataset must be
	// there, kept by Driver.
	Rooms   []Room           `json:"rooms,omitempty"`
	Above   map[string]int64 `json:"above,omitempty"`
	Dataset string           `json:"dataset,omitempty"`
	Driver  string           `json:"driver,omitempty"`
}

// Room is what one volume needs space for.
type Room struct {
	Volume string       `json:"volume"`
	Spec   plans.Volume `json:"spec"`
	Copies []string     `json:"copies,omitempty"` // datasets that are copied, once each time
}

// Result is what became of an action that was carried out or tried.
type Result struct {
	ID      string            `json:"id"`
	Verb    Verb              `json:"verb"`
	Problem *observed.Problem `json:"problem,omitempty"` // nil: done
	Cut     int               `json:"cut,omitempty"`     // of Cut
	Bytes   int64             `json:"bytes,omitempty"`   // of Measure, written since
	Since   string            `json:"since,omitempty"`   // the snapshot
	AtMost  bool              `json:"atMost,omitempty"`  // Bytes is a bound
	Took    time.Duration     `json:"took,omitempty"`
}
