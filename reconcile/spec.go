package reconcile

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
)

// part is one service of a version with the order its instance must follow.
type part struct {
	name       string
	svc        *plans.Service // never written to
	digest     string
	generation string // of the core it belongs to, "" beside it
	core       bool
	key        plans.Key
}

func (p part) job(at string) bool { return p.svc.Job != nil && p.svc.Job.At == at }

// spec is what a generation names, kept for one step.
type spec struct {
	core  plans.Core
	known bool
}

// known is what was looked up in this step and is asked for by several rows.
type known struct {
	specs  map[string]spec   // by generation
	asides map[string]string // digests of the plan's services beside the core
	parts  map[string][]part // of versions, by what names them
}

// coreOf returns what a generation names: the plan's own words first.
func (m *machine) coreOf(generation string) (plans.Core, bool) {
	if s, ok := m.known.specs[generation]; ok {
		return s.core, s.known
	}
	var s spec
	switch {
	case generation == "":
	case m.want != nil && m.target.Core == generation:
		s = spec{m.want.Core, true}
	case m.want != nil && m.want.Idle != nil && m.target.Idle == generation:
		s = spec{*m.want.Idle, true}
	default:
		s.core, s.known = m.env.Core(generation)
	}
	if m.known.specs == nil {
		m.known.specs = map[string]spec{}
	}
	m.known.specs[generation] = s
	return s.core, s.known
}

// serviceOf returns what a service digest names.
func (m *machine) serviceOf(name, digest string) (plans.Service, bool) {
	if m.want != nil && m.asideDigest(name) == digest {
		return m.want.Aside[name], true
	}
	return m.env.Service(digest)
}

// asideDigest is the digest of a service the plan has beside the core, "" where
// it has none of the name.
func (m *machine) asideDigest(name string) string {
	s, ok := m.want.Aside[name]
	if !ok {
		return ""
	}
	d, ok := m.known.asides[name]
	if !ok {
		if m.known.asides == nil {
			m.known.asides = map[string]string{}
		}
		d = s.Digest()
		m.known.asides[name] = d
	}
	return d
}

// parts returns the core services and sidecars of a version in the order they
// start; ok is false where a spec of it is not known any more.
func (m *machine) parts(v *Version) (parts []part, ok bool) {
	id := string(v.Slot) + v.Generation
	for name, digest := range plans.Sorted(v.Sidecars) {
		id += "/" + name + digest
	}
	if parts, ok := m.known.parts[id]; ok {
		return parts, true
	}
	parts, ok = m.partsOf(v)
	if ok {
		if m.known.parts == nil {
			m.known.parts = map[string][]part{}
		}
		m.known.parts[id] = slices.Clip(parts)
	}
	return parts, ok
}

func (m *machine) partsOf(v *Version) (parts []part, ok bool) {
	core, ok := m.coreOf(v.Generation)
	if !ok {
		return nil, false
	}
	all := maps.Clone(core.Services)
	if all == nil {
		all = map[string]plans.Service{}
	}
	for name, digest := range plans.Sorted(v.Sidecars) {
		s, known := m.serviceOf(name, digest)
		if !known {
			ok = false
			continue
		}
		all[name] = s
	}
	for _, name := range plans.StartOrder(all) {
		s := all[name]
		p := part{name: name, svc: &s, key: plans.Key{Tenant: m.in.Name, Slot: v.Slot, Service: name}}
		if d, beside := v.Sidecars[name]; beside {
			p.digest = d
		} else {
			p.digest, p.core, p.generation = s.Digest(), true, v.Generation
		}
		parts = append(parts, p)
	}
	return parts, ok
}

// shared returns the tenant-scoped services on record, in start order.
func (m *machine) shared() (parts []part, ok bool) {
	all, ok := map[string]plans.Service{}, true
	for name, digest := range plans.Sorted(m.rec.Shared) {
		s, known := m.serviceOf(name, digest)
		if !known {
			ok = false
			continue
		}
		all[name] = s
	}
	for _, name := range plans.StartOrder(all) {
		parts = append(parts, m.sharedPart(name, all[name], m.rec.Shared[name]))
	}
	return parts, ok
}

func (m *machine) sharedPart(name string, s plans.Service, digest string) part {
	return part{name: name, svc: &s, digest: digest,
		key: plans.Key{Tenant: m.in.Name, Slot: plans.Shared, Service: name}}
}

// runs returns the parts that run in a slot whether it is routed or not; with
// active those too that run in the routed one only.
func runs(parts []part, active bool) []part {
	return slices.DeleteFunc(slices.Clone(parts), func(p part) bool {
		return p.svc.Job != nil || p.svc.WhenRouted() && !active
	})
}

// jobs returns the jobs of one moment, in order.
func jobs(parts []part, at string) []part {
	return slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return !p.job(at) })
}

// order expands the part to what a runtime is asked for.
func (m *machine) order(v *Version, p part, attempt string, routed bool) (*plans.Instance, error) {
	t := plans.Tenant{Name: m.in.Name, Node: m.env.Node}
	commit := m.env.Commit
	if m.want != nil {
		t.Labels = m.want.Labels
	}
	if v != nil && v.Commit != "" {
		commit = v.Commit
	}
	inst, err := t.Instance(plans.InstanceOrder{
		Fleet: m.env.Fleet, Node: m.env.Node, Commit: commit,
		Slot: p.key.Slot, Name: p.name, Service: *p.svc,
		Generation: p.generation, Attempt: attempt,
		Port: m.env.Port, Paths: m.paths(v), Routed: routed,
	})
	if err != nil {
		return nil, err
	}
	return &inst, nil
}

// paths are the places of a version's volumes on the host; those of the
// current data where there is no version.
func (m *machine) paths(v *Version) map[string]string {
	paths := map[string]string{}
	for name, d := range plans.Sorted(m.rec.Data) {
		if ds := m.dataset(d.Dataset); ds != nil && ds.Path != "" {
			paths[name] = ds.Path
		}
	}
	if v == nil {
		return paths
	}
	for name, id := range plans.Sorted(v.Data) {
		delete(paths, name)
		if ds := m.dataset(id); ds != nil && ds.Path != "" {
			paths[name] = ds.Path
		}
	}
	return paths
}

// start orders a part to exist and run. The order fails the attempt where it
// cannot be expressed on this host.
func (m *machine) start(step Phase, v *Version, p part, attempt, why string) error {
	routed := v != nil && m.serves(v)
	if p.key.Slot == plans.Shared {
		routed = true // outlives switches: always there after a reboot
	}
	inst, err := m.order(v, p, attempt, routed)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.key, err)
	}
	m.act(step, string(p.key.Slot)+"/"+p.name, Action{Verb: Start, Key: p.key, Slot: p.key.Slot,
		Generation: p.generation, Digest: p.digest, Instance: inst, Why: why})
	return nil
}

// serves says that a version is the one requests are led to, or, for a tenant
// without routes, the current one.
func (m *machine) serves(v *Version) bool {
	if m.rec.Entry.Tenant != "" && !m.seen.Router.Blind() && m.routed() != plans.NoSlot {
		return m.routed() == v.Slot
	}
	return m.rec.Current != nil && m.rec.Current.Slot == v.Slot
}
