package plans

import "time"

// Tenant is one tenant as the plan resolves it for this node: Fleet defaults,
// Template, Tenant and slot overrides merged, defaults applied.
type Tenant struct {
	Name     string            `json:"name"`
	Formerly string            `json:"formerly,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Node     string            `json:"node,omitempty"`
	Runtime  string            `json:"runtime,omitempty"` // "" is the host's default
	Template string            `json:"template,omitempty"`
	// Release names what a rollout spreads: a digest of the template as it is
	// before the tenant's own values. "" where there is no template.
	Release  string   `json:"release,omitempty"`
	Policy   string   `json:"batchPolicy,omitempty"`
	Strategy Strategy `json:"strategy,omitempty"`
	Overlap  bool     `json:"overlap,omitempty"`

	// ActiveSlot is NoSlot for auto. Core feeds the active slot.
	ActiveSlot Slot `json:"activeSlot,omitempty"`
	Core       Core `json:"core"`
	// Idle is the core of the named idle slot, nil where the plan has no entry
	// for it.
	Idle *Core `json:"idle,omitempty"`
	// Aside are the services upgraded alone: sidecars and tenant-scoped ones.
	Aside map[string]Service `json:"aside,omitempty"`
	// FixedPorts are `slots.<slot>.ports`, by slot and service/port.
	FixedPorts map[Slot]map[string]int `json:"fixedPorts,omitempty"`

	Routes  map[string]*Route `json:"routes,omitempty"`
	Volumes map[string]Volume `json:"volumes,omitempty"`

	Bake   Duration `json:"bake,omitempty"`
	Soak   Soak     `json:"soak,omitzero"`
	Drain  Duration `json:"drain,omitempty"`  // longest wait for open requests; default 30s
	Retire string   `json:"retire,omitempty"` // "" is auto, or decision
	// Retention of what a change leaves of the data.
	Retention Retention `json:"retention,omitzero"`
	Hold      *HoldWord `json:"hold,omitempty"`
	Removed   bool      `json:"removed,omitempty"`
}

// Core is the slot-scoped part of a tenant that changes as one: its services
// that are no sidecars, with their mounts. Its digest is the generation. It is
// slot-neutral: nothing in it is expanded yet.
type Core struct {
	Services map[string]Service `json:"services,omitempty"`
}

// Soak says how long the old slot is kept after a switch, and how.
type Soak struct {
	For  Duration `json:"for,omitempty"`
	Keep string   `json:"keep,omitempty"` // "" is stopped, or running
}

// HoldWord is a person's word that nobody touches the tenant.
type HoldWord struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
}

// Target is what a tenant should be, as digests. Two targets are the same
// change if and only if they are equal as Go values.
type Target struct {
	Active Slot   `json:"active,omitempty"` // NoSlot: auto
	Core   string `json:"core,omitempty"`   // generation of the active slot
	Idle   string `json:"idle,omitempty"`   // generation of the named idle slot
	Aside  string `json:"aside,omitempty"`  // digest over the services upgraded alone
	Live   string `json:"live,omitempty"`   // digest over routes and other live fields
}

// Zero says that the target asks for nothing at all, as a removed tenant's does.
func (t Target) Zero() bool { return t == Target{} }

// Defaults that Resolve fills in where no document says otherwise.
const (
	DefaultBake  = 60 * Second
	DefaultDrain = 30 * Second
	DefaultSoak  = 24 * 3600 * Second
)
