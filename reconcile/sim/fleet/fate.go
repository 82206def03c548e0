package fleet

import "time"

// Fault is how a version is no good for a tenant.
type Fault int

// The faults. AtGate never proves itself; Serving does, and shows it later.
const (
	None Fault = iota
	AtGate
	Serving
)

// Fate is what becomes of one way of a tenant to a version.
type Fate struct {
	// Ready is the time from the start until it is well.
	Ready time.Duration
	Fault Fault
	// Shows is when after the switch a Serving one begins to fail.
	Shows time.Duration
}
