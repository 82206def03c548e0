package plans

// Retention says how long what an upgrade, a rollback or a removal leaves of the
// data is kept, by kind. The snapshot that leads back from what serves is kept
// whatever it says.
type Retention struct {
	// PreUpgrade are the snapshots taken before a change.
	PreUpgrade Keep `json:"preUpgrade,omitzero"`
	// Final is all that is left of a removed tenant.
	Final Keep `json:"final,omitzero"`
	// Discarded are the data that a rollback, a failure or a retired slot left.
	Discarded Keep `json:"discarded,omitzero"`
}

// Keep keeps what is younger than For and the newest Count of each volume: of
// the two rules the longer wins.
type Keep struct {
	For   Duration `json:"for,omitempty"`
	Count int      `json:"count,omitempty"`
}

// Effective is r, or the default for a tenant that no document made.
func (r Retention) Effective() Retention {
	if r == (Retention{}) {
		return DefaultRetention()
	}
	return r
}

// DefaultRetention is what holds where no document says otherwise. A day lets a
// person who comes in the morning undo the night's work; a snapshot costs little
// and tells more, so it stays a week.
func DefaultRetention() Retention {
	return Retention{
		PreUpgrade: Keep{For: 7 * 24 * 3600 * Second},
		Final:      Keep{For: 24 * 3600 * Second},
		Discarded:  Keep{For: 24 * 3600 * Second},
	}
}
