package reconcile

import (
	"crypto/sha256"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Ports is the ledger of host ports: who has which, and who had which lately. A
// port is kept as long as its tenant exists, over restarts and reboots, and is
// not given to another tenant within a day. It is no part of a step; the agent
// keeps one and answers Env.Port from it.
type Ports struct {
	fleet    string
	from, to int
	byPort   map[int]Lease
	byOwner  map[string]int
	moved    map[int]bool // since Moved was asked
}

// Lease is one port's owner; Freed is set when its tenant went.
type Lease struct {
	Tenant string    `json:"tenant"`
	Owner  string    `json:"owner"` // tenant/slot/service/port
	Freed  time.Time `json:"freed,omitzero"`
}

// portRest is how long a port is not given to another tenant: long enough for
// every cached address and kept connection to be gone.
const portRest = 24 * time.Hour

// NewPorts returns an empty ledger over the host ports from..to, both included.
func NewPorts(fleet string, from, to int) *Ports {
	return &Ports{fleet: fleet, from: from, to: to, byPort: map[int]Lease{}, byOwner: map[string]int{}, moved: map[int]bool{}}
}

// Restore takes in what the journal has of a port, also of one that is not in the
// range any more.
func (p *Ports) Restore(port int, l Lease) {
	p.byPort[port], p.byOwner[l.Owner] = l, port
}

// Moved returns the leases that changed since it was last asked, by port; nil for
// one that is no more.
func (p *Ports) Moved() map[int]*Lease {
	out := make(map[int]*Lease, len(p.moved))
	for port := range plans.Sorted(p.moved) {
		out[port] = nil
		if l, ok := p.byPort[port]; ok {
			out[port] = &l
		}
	}
	clear(p.moved)
	return out
}

// set gives a port to somebody.
func (p *Ports) set(port int, l Lease) {
	if p.byPort[port] != l {
		p.byPort[port], p.moved[port] = l, true
	}
}

func (p *Ports) drop(port int) {
	delete(p.byPort, port)
	p.moved[port] = true
}

// Port returns the host port of a slot's service port, choosing one where it has
// none: the plan's fixed one, or the first that is free from a place derived
// from the names, so that hosts and dry-runs agree. occupied tells of ports that
// others use right now. 0 means that none is free.
func (p *Ports) Port(k plans.Key, name string, fixed int, now time.Time, occupied func(port int) bool) int {
	owner := k.String() + "/" + name
	if had, ok := p.byOwner[owner]; ok && (fixed == 0 || fixed == had) {
		p.set(had, Lease{Tenant: k.Tenant, Owner: owner})
		return had
	}
	if fixed != 0 {
		p.take(fixed, k.Tenant, owner)
		return fixed
	}
	n := p.to - p.from + 1
	if n <= 0 {
		return 0
	}
	first := p.place(owner, n)
	for i := range n {
		port := p.from + (first+i)%n
		if !p.free(port, k.Tenant, now) || occupied != nil && occupied(port) {
			continue
		}
		p.take(port, k.Tenant, owner)
		return port
	}
	return 0
}

// place derives where the search for a port begins.
func (p *Ports) place(owner string, n int) int {
	sum := sha256.Sum256([]byte(p.fleet + "/" + owner))
	at := 0
	for _, b := range sum[:6] {
		at = at<<8 | int(b)
	}
	return at % n
}

func (p *Ports) free(port int, tenant string, now time.Time) bool {
	l, taken := p.byPort[port]
	switch {
	case !taken:
		return true
	case l.Freed.IsZero():
		return false
	}
	return l.Tenant == tenant || now.Sub(l.Freed) >= portRest
}

func (p *Ports) take(port int, tenant, owner string) {
	if l, ok := p.byPort[port]; ok && p.byOwner[l.Owner] == port {
		delete(p.byOwner, l.Owner)
	}
	if had, ok := p.byOwner[owner]; ok {
		p.drop(had)
	}
	p.set(port, Lease{Tenant: tenant, Owner: owner})
	p.byOwner[owner] = port
}

// Release notes that a tenant is gone: its ports rest for a day.
func (p *Ports) Release(tenant string, now time.Time) {
	for port, l := range plans.Sorted(p.byPort) {
		if l.Tenant == tenant && l.Freed.IsZero() {
			l.Freed = now
			p.set(port, l)
		}
	}
}

// Sweep forgets leases that have rested.
func (p *Ports) Sweep(now time.Time) {
	for port, l := range plans.Sorted(p.byPort) {
		if !l.Freed.IsZero() && now.Sub(l.Freed) >= portRest {
			p.drop(port)
			delete(p.byOwner, l.Owner)
		}
	}
}
