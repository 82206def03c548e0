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

// eyes are told what becomes of tenants, in truth.
type eyes interface {
	began(tenant string, target target)
	ended(tenant string, target target, reached bool)
	gaveUp(tenant string, target target)
	broken(lane string, from, to time.Time)
}

// blink sees nothing.
type blink struct{}

func (blink) began(string, target)                {}
func (blink) ended(string, target, bool)          {}
func (blink) gaveUp(string, target)               {}
func (blink) broken(string, time.Time, time.Time) {}
