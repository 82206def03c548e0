package agentworld

import (
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
)

// visit has somebody write to a tenant that has data, at this very moment: just
// before the agent does something to it, which is when a write is lost if ever.
func (w *world) visit(tenant string) {
	w.mu.Lock()
	w.writes[tenant]++
	id := w.writes[tenant]
	w.mu.Unlock()
	if !w.check.hasData(tenant) {
		return
	}
	q := w.host.Send("POST", tenant+".example.com", "/", id)
	time.AfterFunc(w.luckOf("visit "+tenant, 3)+time.Millisecond, func() { w.served(q, tenant, id) })
}

// ask is how often somebody looks whether a write that waits was answered.
const ask = 5 * time.Second

// served ends a write that somebody made, and takes its answer down.
func (w *world) served(q *mem.Request, tenant string, id uint64) {
	ended, status, slot := q.Status()
	switch {
	case !ended && slot == plans.NoSlot: // it waits for a hold
		time.AfterFunc(ask, func() { w.served(q, tenant, id) })
		return
	case !ended:
		status = q.Finish()
	}
	if status == 200 {
		w.check.acked(tenant, id, slot)
	}
}
