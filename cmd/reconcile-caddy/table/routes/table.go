package routes

import (
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// afterLoss is how far revisions jump when the end of the log was lost, so
// that none that was ever given out is given again.
const afterLoss = 1 << 20

// Table is the route table of one host.
type Table struct {
	dir     string
	started time.Time
	secret  string
	hosts   hosts
	last    atomic.Uint64 // highest revision given out
	damaged atomic.Pointer[string]
	problem atomic.Pointer[string]

	mu         sync.Mutex // one change at a time; guards what follows
	tenants    map[string]*Tenant
	controller string
	log        *journal
	lock       *lock
}

// Open reads the table kept in dir, and makes an empty one if there is none.
// Nobody else can open it until Close: a second proxy is refused by name.
func Open(dir string) (*Table, error) {
	l, err := acquire(dir)
	if err != nil {
		return nil, err
	}
	t := &Table{dir: dir, started: time.Now(), secret: rand.Text() + rand.Text(), tenants: make(map[string]*Tenant), lock: l}
	if err := t.read(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return t, nil
}

func (t *Table) read() error {
	journal, kept, err := openJournal(t.dir)
	if err != nil {
		return err
	}
	t.log, t.controller = journal, kept.controller
	if kept.damaged != "" {
		t.damaged.Store(&kept.damaged)
	}
	t.last.Store(kept.last)
	now := time.Now()
	for name, s := range kept.tenants {
		tenant := newTenant(name)
		t.tenants[name] = tenant
		tenant.becomeLocked(s, now, func(id string) { t.expire(tenant, id) })
		for _, r := range s.Entry.Routes {
			t.hosts.add(r.Host, r.Path, tenant)
		}
	}
	if kept.rewrite {
		if err := t.rewriteLocked(); err != nil { // a full disk must not keep the proxy from serving
			t.log.stale = true
			t.note(err)
		}
	}
	return nil
}

// Close releases the table for another proxy. What is held is let go.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tenant := range t.tenants {
		tenant.mu.Lock()
		tenant.hold.release()
		tenant.mu.Unlock()
	}
	return errors.Join(t.log.close(), t.lock.release())
}

// Secret is what marks a request as ours. It is another one after each Open.
func (t *Table) Secret() string { return t.secret }

// Known says whether a tenant has the host.
func (t *Table) Known(host string) bool { return t.hosts.known(host) }

// Observe returns the routes of the named tenants, or of all if none is named,
// and the controller.
func (t *Table) Observe(names ...string) (map[string]observed.Route, string) {
	t.mu.Lock()
	controller := t.controller
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(t.tenants))
	}
	tenants := make([]*Tenant, 0, len(names))
	for _, name := range names {
		if tenant := t.tenants[name]; tenant != nil {
			tenants = append(tenants, tenant)
		}
	}
	t.mu.Unlock()
	routes := make(map[string]observed.Route, len(tenants))
	for _, tenant := range tenants {
		routes[tenant.name] = tenant.observe()
	}
	return routes, controller
}

// Cut ends the open requests of a tenant's slot and returns how many there were.
func (t *Table) Cut(name string, slot plans.Slot) int {
	t.mu.Lock()
	tenant := t.tenants[name]
	t.mu.Unlock()
	if tenant == nil {
		return 0
	}
	return tenant.cut(slot)
}

// Status is how the table is.
type Status struct {
	Dir              string
	Started          time.Time
	Tenants          int
	Damaged, Problem string
}

// Status returns how the table is.
func (t *Table) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{Dir: t.dir, Started: t.started, Tenants: len(t.tenants), Damaged: t.damage()}
	if p := t.problem.Load(); p != nil {
		s.Problem = *p
	}
	return s
}

func (t *Table) damage() string {
	if p := t.damaged.Load(); p != nil {
		return *p
	}
	return ""
}
