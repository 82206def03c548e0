package agent

import (
	"hash/fnv"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// ports is the agent's side of the ledger of host ports.
type ports struct {
	fleet string
	rng   PortRange
	by    map[int]string
}

func newPorts(fleet string, r PortRange) *ports {
	return &ports{fleet: fleet, rng: r, by: map[int]string{}}
}

func (p *ports) port(k plans.Key, name string) int {
	h := fnv.New32a()
	h.Write([]byte(p.fleet + k.String() + name))
	n := p.rng.To - p.rng.From + 1
	for i := range n {
		at := p.rng.From + (int(h.Sum32()%uint32(n))+i)%n
		if w := p.by[at]; w == "" || w == k.String()+name {
			p.by[at] = k.String() + name
			return at
		}
	}
	return 0
}
func (p *ports) release(tenant string)          {}
func (p *ports) save(tx *journal.Tx) error      { return nil }
func (p *ports) load(store journal.Store) error { return nil }
