package routes

import (
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Set makes entry all that the table does for its tenant, if the tenant is at
// revision rev (0: has no entry). An equal entry is a no-op whatever rev says.
// When it returns, the change is durable and every later request follows it.
// Errors are *Invalid, *Moved, *Taken and *Unwritten.
func (t *Table) Set(entry plans.Entry, rev uint64) (revision uint64, changed bool, err error) {
	if err := valid(entry); err != nil {
		return 0, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tenant := t.tenants[entry.Tenant]
	if tenant == nil {
		tenant = newTenant(entry.Tenant)
	}

	tenant.mu.Lock()
	old, now := tenant.stateLocked(), time.Now()
	if old.Revision != 0 && same(old.Entry, entry) {
		tenant.mu.Unlock()
		return old.Revision, false, nil
	}
	if old.Revision != rev {
		defer tenant.mu.Unlock()
		return old.Revision, false, tenant.movedLocked()
	}
	next := tenant.followsLocked(entry, t.last.Add(1), now)
	tenant.mu.Unlock()

	for _, r := range entry.Routes {
		if by := t.hosts.owner(r.Host, r.Path); by != nil && by != tenant {
			return old.Revision, false, &Taken{r.Host, r.Path, by.name}
		}
	}
	if err := t.appendLocked(record{Tenant: entry.Tenant, State: &next}); err != nil {
		return old.Revision, false, err
	}

	// Routes that go leave the index first and those that come enter it last:
	// whoever finds the tenant in between and no route there looks again.
	for _, r := range missing(old.Entry.Routes, entry.Routes) {
		t.hosts.remove(r.Host, r.Path, tenant)
	}
	tenant.mu.Lock()
	if tenant.revision != old.Revision { // its hold expired while the disk was busy
		back, moved := tenant.stateLocked(), tenant.movedLocked()
		tenant.mu.Unlock()
		for _, r := range old.Entry.Routes {
			t.hosts.add(r.Host, r.Path, tenant)
		}
		if err := t.appendLocked(record{Tenant: entry.Tenant, State: &back}); err != nil {
			return old.Revision, false, err
		}
		return old.Revision, false, moved
	}
	tenant.becomeLocked(next, now, func(id string) { t.expire(tenant, id) })
	tenant.mu.Unlock()
	t.tenants[entry.Tenant] = tenant
	for _, r := range missing(entry.Routes, old.Entry.Routes) {
		t.hosts.add(r.Host, r.Path, tenant)
	}
	return next.Revision, true, nil
}

// Delete removes a tenant's entry under the same rule. Absent is a no-op.
func (t *Table) Delete(name string, rev uint64) (changed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tenant := t.tenants[name]
	if tenant == nil {
		return false, nil
	}
	tenant.mu.Lock()
	entry, revision := tenant.entry, tenant.revision
	tenant.mu.Unlock()
	if revision != rev {
		return false, &Moved{Tenant: name, Revision: revision}
	}
	if err := t.appendLocked(record{Tenant: name}); err != nil {
		return false, err
	}
	for _, r := range entry.Routes {
		t.hosts.remove(r.Host, r.Path, tenant)
	}
	delete(t.tenants, name)
	tenant.mu.Lock()
	defer tenant.mu.Unlock()
	tenant.gone = true
	tenant.hold.release()
	return true, nil
}

// Claim writes the controller's id beside the table. A table that was damaged
// counts as whole from then on: the controller has looked at it.
func (t *Table) Claim(controller string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.controller == controller && t.damaged.Load() == nil {
		return nil
	}
	if err := t.appendLocked(record{Table: &tableState{Controller: controller}}); err != nil {
		return err
	}
	t.controller = controller
	t.damaged.Store(nil)
	return nil
}

// expire releases a hold whose limit has passed. Requests go on at once,
// whatever the disk does; the fact is written after it.
func (t *Table) expire(tenant *Tenant, id string) {
	tenant.mu.Lock()
	released := tenant.expireLocked(id, func() uint64 { return t.last.Add(1) })
	tenant.mu.Unlock()
	if released {
		t.keep(tenant)
	}
}

// keep writes a tenant's present state. If it cannot be written, requests go
// on and Status says so: serving outweighs remembering.
func (t *Table) keep(tenant *Tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tenant.mu.Lock()
	s, gone := tenant.stateLocked(), tenant.gone
	tenant.mu.Unlock()
	if !gone {
		_ = t.appendLocked(record{Tenant: tenant.name, State: &s}) // kept in problem
	}
}

// appendLocked makes a record durable. Where an earlier one failed half way,
// or the log has grown too long, it is written anew first.
func (t *Table) appendLocked(r record) (err error) {
	defer func() { t.note(err) }()
	if t.log.stale || t.log.grown() {
		if err := t.rewriteLocked(); err != nil && t.log.stale {
			return &Unwritten{err}
		}
	}
	r.Last = t.last.Load()
	if err := t.log.append(r); err != nil {
		return &Unwritten{err}
	}
	return nil
}

// rewriteLocked writes the log anew, with one record for each tenant.
func (t *Table) rewriteLocked() error {
	last := t.last.Load()
	records := make([]record, 0, len(t.tenants)+1)
	records = append(records, record{Last: last, Table: &tableState{Controller: t.controller, Damaged: t.damage()}})
	for _, name := range slices.Sorted(maps.Keys(t.tenants)) {
		tenant := t.tenants[name]
		tenant.mu.Lock()
		s := tenant.stateLocked()
		tenant.mu.Unlock()
		records = append(records, record{Last: last, Tenant: name, State: &s})
	}
	return t.log.rewrite(records)
}

func (t *Table) note(err error) {
	if err == nil {
		t.problem.Store(nil)
		return
	}
	text := err.Error()
	t.problem.Store(&text)
}

// missing returns the routes of a whose host and path are not in b.
func missing(a, b []plans.EntryRoute) []plans.EntryRoute {
	type at struct{ host, path string }
	there := make(map[at]bool, len(b))
	for _, r := range b {
		there[at{r.Host, r.Path}] = true
	}
	var out []plans.EntryRoute
	for _, r := range a {
		if !there[at{r.Host, r.Path}] {
			out = append(out, r)
		}
	}
	return out
}
