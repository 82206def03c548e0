package agent

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// specs answers what a digest names: from the plan of the tenant at hand, or
// from what is stored in the journal as long as any report names it.
type specs struct {
	store journal.Store
	named map[string]int           // digest → reports that name it
	kept  map[string]bool          // stored, by digest; equal tenants share one
	found map[string]plans.Service // decoded stored services

	at      *member  // whose plan is asked first
	retired []string // tenants that named a spec and do not any more
}

func newSpecs(store journal.Store) *specs {
	return &specs{store: store, named: map[string]int{}, kept: map[string]bool{}, found: map[string]plans.Service{}}
}

// load reads what is stored.
func (s *specs) load() error {
	return s.store.Each(journal.Specs, func(digest string, _ []byte) error {
		s.kept[digest] = true
		return nil
	})
}

// stored decodes what is stored under a digest into v, if it is.
func (s *specs) stored(digest string, v any) bool {
	if !s.kept[digest] {
		return false
	}
	raw, err := s.store.Get(journal.Specs, digest)
	return err == nil && json.Unmarshal(raw, v) == nil
}

// remember counts what a tenant's last report named before a restart.
func (s *specs) remember(named []string) {
	for _, d := range named {
		s.named[d]++
	}
}

// of sets the tenant whose plan is asked first.
func (s *specs) of(m *member) { s.at = m }

// core returns the core of a generation.
func (s *specs) core(generation string) (plans.Core, bool) {
	if m := s.at; m != nil && m.want != nil {
		if m.target.Core == generation {
			return m.want.Core, true
		}
		if m.want.Idle != nil && m.target.Idle == generation {
			return *m.want.Idle, true
		}
	}
	var c plans.Core
	return c, s.stored(generation, &c)
}

// service returns the service of a digest.
func (s *specs) service(digest string) (plans.Service, bool) {
	if v, ok := s.found[digest]; ok {
		return v, true
	}
	if m := s.at; m != nil && m.want != nil {
		if v, ok := serviceIn(m.want, digest); ok {
			return v, true
		}
	}
	var v plans.Service
	if s.stored(digest, &v) {
		s.found[digest] = v
		return v, true
	}
	return s.inCores(digest)
}

// inCores finds a service in the stored cores the tenant's report names: an
// instance of a slot is known by its own digest, its spec stored with its core.
func (s *specs) inCores(digest string) (plans.Service, bool) {
	if s.at == nil {
		return plans.Service{}, false
	}
	for _, g := range s.at.report.Specs {
		var c plans.Core
		if !s.stored(g, &c) {
			continue
		}
		for _, v := range c.Services {
			if v.Digest() == digest {
				s.found[digest] = v
				return v, true
			}
		}
	}
	return plans.Service{}, false
}

func serviceIn(t *plans.Tenant, digest string) (plans.Service, bool) {
	lists := []map[string]plans.Service{t.Core.Services, t.Aside}
	if t.Idle != nil {
		lists = append(lists, t.Idle.Services)
	}
	for _, services := range lists {
		for _, v := range services {
			if v.Digest() == digest {
				return v, true
			}
		}
	}
	return plans.Service{}, false
}

// name moves the tenant at hand from naming old to naming next: what is newly
// named is stored, what nobody names any more is dropped.
func (s *specs) name(tx *journal.Tx, old, next []string) error {
	for _, d := range next {
		s.named[d]++
		if s.kept[d] {
			continue
		}
		raw, err := s.encode(d)
		if err != nil {
			return err
		}
		s.kept[d] = true
		tx.Puts = append(tx.Puts, journal.Put{Bucket: journal.Specs, Key: d, Value: raw})
	}
	for _, d := range old {
		if !slices.Contains(next, d) && s.at != nil {
			s.retired = append(s.retired, s.at.name)
		}
		if s.named[d]--; s.named[d] > 0 {
			continue
		}
		delete(s.named, d)
		delete(s.kept, d)
		delete(s.found, d)
		tx.Delete(journal.Specs, d)
	}
	return nil
}

func (s *specs) encode(digest string) (json.RawMessage, error) {
	if c, ok := s.core(digest); ok {
		return json.Marshal(c)
	}
	if v, ok := s.service(digest); ok {
		return json.Marshal(v)
	}
	return nil, fmt.Errorf("store spec %s: neither the plan nor the journal has it", digest)
}
