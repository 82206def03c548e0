package plans

// Volume is data of a tenant. Source names a parent; live data are children of
// it that the driver finds by property, never by name.
type Volume struct {
	Driver    string   `json:"driver,omitempty"` // "" is the host's default (dir)
	Source    string   `json:"source,omitempty"`
	Access    string   `json:"access,omitempty"`    // "" is single, or many
	OnUpgrade string   `json:"onUpgrade,omitempty"` // "" is share; snapshot, clone, fresh
	Writes    string   `json:"writes,omitempty"`    // with clone: replay or quiesce
	OnBack    string   `json:"onBack,omitempty"`    // with quiesce: "" is stay; carry, discard
	HoldLimit Duration `json:"holdLimit,omitempty"` // longest hold of a quiesced switch; default 30s
	Rehearse  bool     `json:"rehearse,omitempty"`
	Import    bool     `json:"import,omitempty"`
	Owner     string   `json:"owner,omitempty"` // uid:gid of a new volume's root
	Mode      string   `json:"mode,omitempty"`  // octal mode of a new volume's root
}

// What happens to a volume when a tenant is upgraded, and which writes survive.
const (
	Share    = "share"
	Snapshot = "snapshot"
	Clone    = "clone"
	Fresh    = "fresh"

	Replay  = "replay"
	Quiesce = "quiesce"

	Stay    = "stay"
	Carry   = "carry"
	Discard = "discard"
)

// DefaultHoldLimit bounds a hold where the plan says nothing.
const DefaultHoldLimit = 30 * Second
