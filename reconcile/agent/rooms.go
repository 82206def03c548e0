package agent

import (
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// promiseLimit ends a promise of room that nobody made use of.
const promiseLimit = 30 * time.Minute

// rooms remembers who was promised room on which storage and has not copied all
// of it yet, so that tenants that move beside each other do not all count on the
// same free bytes. What is copied meanwhile counts twice, which only has another
// wait a little longer. Safe for use by many goroutines.
type rooms struct {
	mu       sync.Mutex
	promised map[string]promise // by tenant
}

type promise struct {
	until time.Time
	need  map[string]int64 // by storage, as in observed.Check.Free
}

// promise notes what a tenant is about to write.
func (r *rooms) promise(tenant string, need map[string]int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.promised == nil {
		r.promised = map[string]promise{}
	}
	r.promised[tenant] = promise{until: now.Add(promiseLimit), need: need}
}

// drop ends the promise to a tenant.
func (r *rooms) drop(tenant string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.promised, tenant)
}

// begins takes in that an action is tried: a tenant that starts or takes away
// something has copied what it would, or has given it up.
func (r *rooms) begins(a reconcile.Action) {
	switch a.Verb {
	case reconcile.Start, reconcile.Remove, reconcile.Destroy, reconcile.Forget, reconcile.Check:
		r.drop(a.Tenant)
	}
}

// others is what all but one tenant may still write to a storage.
func (r *rooms) others(tenant, storage string, now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum int64
	for name, p := range r.promised {
		if name != tenant && now.Before(p.until) {
			sum += p.need[storage]
		}
	}
	return sum
}
