package fleet

import "time"

// eyes are told what becomes of tenants, in truth.
type eyes interface {
	// Began is told that a tenant began to move to a target, Ended where it came
	// to rest.
	Began(now time.Time, tenant string, to target)
	Ended(now time.Time, tenant string, at target)
	// GaveUp is told that a tenant will not be moved to a target again by itself.
	GaveUp(now time.Time, tenant string, to target)
	// Stood is told what is to be known of what a tenant serves, in truth.
	Stood(now time.Time, tenant string, is standing)
	// Broken is told when a tenant's users were served by something that does
	// not work.
	Broken(tenant string, from, to time.Time)
}

// blink sees nothing.
type blink struct{}

func (blink) Began(time.Time, string, target)     {}
func (blink) Ended(time.Time, string, target)     {}
func (blink) GaveUp(time.Time, string, target)    {}
func (blink) Stood(time.Time, string, standing)   {}
func (blink) Broken(string, time.Time, time.Time) {}
