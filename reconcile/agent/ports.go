package agent

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// ports is the agent's side of the ledger of host ports: it answers Env.Port
// for the tenant at hand and writes down with each turn what it changed.
type ports struct {
	ledger *reconcile.Ports
	host   Host
	given  map[portOwnerKey]int // what was answered before, as long as no plan fixes another

	at  *plans.Tenant // whose ports are asked for; its plan may fix some
	now time.Time
}

type portOwnerKey struct {
	key  plans.Key
	name string
}

func newPorts(fleet string, r PortRange, h Host) *ports {
	return &ports{ledger: reconcile.NewPorts(fleet, r.From, r.To), host: h, given: map[portOwnerKey]int{}}
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
		p.given[owner] = got
	}
	return got
}

// release lets the ports of a tenant that is gone rest.
func (p *ports) release(tenant string, now time.Time) {
	p.ledger.Release(tenant, now)
	for owner := range p.given {
		if owner.key.Tenant == tenant {
			delete(p.given, owner)
		}
	}
}

// sweep forgets the ports that have rested.
func (p *ports) sweep(now time.Time) { p.ledger.Sweep(now) }

func (p *ports) save(tx *journal.Tx) error {
	for port, l := range plans.Sorted(p.ledger.Moved()) {
		key := metaPort + strconv.Itoa(port)
		if l == nil {
			tx.Delete(journal.Meta, key)
		} else if err := tx.Put(journal.Meta, key, l); err != nil {
			return err
		}
	}
	return nil
}

func (p *ports) load(store journal.Store) error {
	return store.Each(journal.Meta, func(key string, v []byte) error {
		number, ok := strings.CutPrefix(key, metaPort)
		if !ok {
			return nil
		}
		port, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		var l reconcile.Lease
		if err := json.Unmarshal(v, &l); err != nil {
			return fmt.Errorf("lease of port %d: %w", port, err)
		}
		p.ledger.Restore(port, l)
		return nil
	})
}
