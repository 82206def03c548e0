package zfs

import (
	"maps"
	"slices"
	"sync"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// memory is where the last look at all of a pool found whose datasets, so that a
// look at one tenant costs what that tenant has. It is a hint: what is missing
// from its place is looked for everywhere.
type memory struct {
	mu    sync.Mutex                     // guards the maps
	place map[string]map[string]struct{} // by tenant: parents of its datasets; nil: nothing was seen yet
	fresh map[string]map[string]struct{} // as place, of datasets made since, which no look at everything saw yet
	ids   map[string][]string            // by tenant: its datasets at the last look at it
	of    map[string]string              // by dataset: the one it was cloned from
}

// cloned remembers what a dataset was cloned from, "." or "" for nothing.
func (m *memory) cloned(dataset, of string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if of == "." {
		of = ""
	}
	if m.of == nil {
		m.of = map[string]string{}
	}
	if m.of[dataset] = of; of == "" {
		delete(m.of, dataset)
	}
}

// origin is what a dataset was cloned from when it was seen last, "" if that is
// not known.
func (m *memory) origin(dataset string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[dataset]
}

// parents returns where to look for the tenants, and whether that is known.
func (m *memory) parents(tenants []string) (below []string, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.place == nil {
		return nil, false
	}
	for _, t := range tenants {
		below = slices.AppendSeq(below, maps.Keys(m.place[t]))
		below = slices.AppendSeq(below, maps.Keys(m.fresh[t]))
	}
	slices.Sort(below)
	return slices.Compact(below), true
}

// complete says that all is in its place, and remembers what was seen. A
// snapshot may go, by its retention or to another name by a promotion.
func (m *memory) complete(tenants []string, seen []observed.Dataset) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	there := map[string][]string{}
	for _, s := range seen {
		if s.Role != observed.Origin {
			there[s.Tenant] = append(there[s.Tenant], s.ID)
		}
	}
	for _, t := range tenants {
		for _, id := range m.ids[t] {
			if !slices.Contains(there[t], id) {
				return false
			}
		}
	}
	for _, t := range tenants {
		m.ids[t] = there[t]
	}
	return true
}

// learn takes in a look at everything.
func (m *memory) learn(all []observed.Dataset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.place, m.ids = map[string]map[string]struct{}{}, map[string][]string{}
	for _, s := range all {
		if s.Role == observed.Origin {
			continue
		}
		add(m.place, s.Tenant, parentOf(s.ID))
		delete(m.fresh[s.Tenant], parentOf(s.ID))
		m.ids[s.Tenant] = append(m.ids[s.Tenant], s.ID)
	}
}

// made remembers where a tenant's new dataset is made, before it is.
func (m *memory) made(tenant, parent string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fresh == nil {
		m.fresh = map[string]map[string]struct{}{}
	}
	add(m.fresh, tenant, parent)
}

func add(to map[string]map[string]struct{}, tenant, parent string) {
	if to[tenant] == nil {
		to[tenant] = map[string]struct{}{}
	}
	to[tenant][parent] = struct{}{}
}

// gone forgets a dataset that we destroyed.
func (m *memory) gone(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, id)
	for t, ids := range m.ids {
		m.ids[t] = slices.DeleteFunc(ids, func(known string) bool { return known == id })
	}
}
