package plans

// Slot names one of the two places a tenant's slot-scoped services can live in.
type Slot string

// The slots. NoSlot stands for "none", and for "chosen by us" where a plan says
// `activeSlot: auto`; Shared is where tenant-scoped services live.
const (
	NoSlot Slot = ""
	Blue   Slot = "blue"
	Green  Slot = "green"
	Shared Slot = "tenant"
)

// Other returns the slot that is not s; for NoSlot it is Blue, the first slot
// a tenant uses.
func (s Slot) Other() Slot {
	if s == Blue {
		return Green
	}
	return Blue
}

// Strategy says how a tenant moves to a new generation.
type Strategy string

// BlueGreen starts the new generation beside the old one; Recreate stops the
// old one first.
const (
	BlueGreen Strategy = "blueGreen"
	Recreate  Strategy = "recreate"
)
