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
	Freeze    *Hook    `json:"freeze,omitempty"`
	Import    bool     `json:"import,omitempty"`
	Volatile  bool     `json:"volatile,omitempty"` // may be gone after a reboot; the application fills it again
	Copy      Copy     `json:"copy,omitzero"`
	Owner     string   `json:"owner,omitempty"` // uid:gid of a new volume's root
	Mode      string   `json:"mode,omitempty"`  // octal mode of a new volume's root

	// What a driver with such a notion (zfs) gives a dataset: Tuning in place too, a
	// filesystem only to a new one, and a larger size to a clone. Sizes are bytes, or
	// with K M G T (1024-based).
	Quota       string `json:"quota,omitempty"`
	Reservation string `json:"reservation,omitempty"`
	Compression string `json:"compression,omitempty"`
	RecordSize  string `json:"recordSize,omitempty"`
	// Size makes it a block device of that size with Filesystem on it.
	Size       string `json:"size,omitempty"`
	Filesystem string `json:"filesystem,omitempty"` // with size: "" is xfs, or ext4
}

// Hook brings a service's data to rest for a snapshot taken while it runs.
// Both commands run as one-shot instances beside the service: its image, user,
// environment, mounts and network.
type Hook struct {
	Service string   `json:"service"`
	Command []string `json:"command"`
	Thaw    []string `json:"thaw,omitempty"`    // afterwards, whatever came of the snapshot
	Timeout Duration `json:"timeout,omitempty"` // of each; default 30s
}

// Copy says how a driver that has to copy does it.
type Copy struct {
	Parallel int `json:"parallel,omitempty"` // files at a time; 0 is 1
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

// Defaults where the plan says nothing.
const (
	DefaultHoldLimit   = 30 * Second
	DefaultFreezeLimit = 30 * Second
)

// MinHoldLimit is the shortest hold in which data can change hands: the last 2s of it
// are kept for starting the old writers again.
const MinHoldLimit = 5 * Second

// Limit is the longest each of the two commands may take.
func (f *Hook) Limit() Duration {
	if f.Timeout > 0 {
		return f.Timeout
	}
	return DefaultFreezeLimit
}
