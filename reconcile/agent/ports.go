package agent

import (
	"encoding/json"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// ports is the agent's side of the ledger of host ports: it answers Env.Port
// for the tenant at hand and writes the ledger down with the turn that changed it.
type ports struct {
	ledger *reconcile.Ports
	rng    PortRange
	host   Host
	given  map[portOwnerKey]int // what was answered before, as long as no plan fixes another
	dirty  bool

	at  *plans.Tenant // whose ports are asked for; its plan may fix some
	now time.Time
}

type portOwnerKey struct {
	key  plans.Key
	name string
}

func newPorts(fleet string, r PortRange, h Host) *ports {
	return &ports{ledger: reconcile.NewPorts(fleet, r.From, r.To), rng: r, host: h, given: map[portOwnerKey]int{}}
}

func (p *ports) port(k plans.Key, name string) int {
	fixed := 0
	if p.at != nil {
		fixed = p.at.FixedPort(k, name)
	}
	owner := portOwnerKey{k, name}
	if had := p.given[owner]; had != 0 && (fixed == 0 || fixed == had) {
		return had
	}
	got := p.ledger.Port(k, name, fixed, p.now, func(port int) bool { return p.host.PortOwner(port) != "" })
	if got != 0 {
		p.given[owner], p.dirty = got, true
	}
	return got
}

// release lets the ports of a tenant that is gone rest.
func (p *ports) release(tenant string, now time.Time) {
	p.ledger.Release(tenant, now)
	p.dirty = true
	for owner := range p.given {
		if owner.key.Tenant == tenant {
			delete(p.given, owner)
		}
	}
}

// sweep forgets the ports that have rested.
func (p *ports) sweep(now time.Time) { p.dirty = p.ledger.Sweep(now) || p.dirty }

func (p *ports) save(tx *journal.Tx) error {
	if !p.dirty {
		return nil
	}
	p.dirty = false
	return tx.Put(journal.Meta, metaPorts, p.ledger)
}

func (p *ports) load(store journal.Store) error {
	raw, err := store.Get(journal.Meta, metaPorts)
	if err != nil || raw == nil {
		return err
	}
	if err := json.Unmarshal(raw, p.ledger); err != nil {
		return err
	}
	p.ledger.Range(p.rng.From, p.rng.To)
	return nil
}
