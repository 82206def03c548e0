package plans

import (
	"encoding/json"
	"maps"
)

// base is what all tenants of one template start from: Fleet defaults and the
// Template merged, read and checked once. What a tenant does not change it
// shares with its base, so that thousands of alike tenants cost little.
type base struct {
	draft
	layers []layer
	// personal says that a service holds {{tenant}}, {{node}} or {{label.X}}.
	personal bool
	parts    map[Duration]parts // by the policy's healthWithin
}

// parts are services told apart: what changes as one, and what is upgraded alone.
type parts struct{ core, aside map[string]Service }

func split(services map[string]Service) parts {
	var p parts
	for name, s := range Sorted(services) {
		side := &p.core
		if s.Alone() {
			side = &p.aside
		}
		if *side == nil {
			*side = map[string]Service{}
		}
		(*side)[name] = s
	}
	return p
}

// base returns the base of the named template; "" is Fleet defaults alone.
func (r *resolver) base(template string) *base {
	if b := r.bases[template]; b != nil {
		return b
	}
	b := &base{draft: newDraft(), parts: map[Duration]parts{}}
	r.bases[template] = b
	if r.fleet != nil {
		if defaults := objectOf(r.fleet.Spec["defaults"]); defaults != nil {
			b.layers = append(b.layers, layer{"fleet", r.fleet, "/defaults", longForm(defaults)})
		}
	}
	if d := r.templates[template]; d != nil {
		b.layers = append(b.layers, layer{"template", d, "", longForm(d.Spec)})
	}
	s := &subject{r: r}
	for i, l := range b.layers {
		s.layers = b.layers[:i+1]
		s.bothPorts(l)
		b.draft = s.reader().apply(b.draft, l.raw)
	}
	if len(b.layers) == 0 {
		return b
	}
	if template != "" {
		b.Release = release(b.layers)
	}
	b.services = maps.Clone(b.services)
	for name, service := range Sorted(b.services) {
		p := root.at("services").at(name)
		service = s.load(p, service)
		b.services[name] = service
		s.checkService(p, name, service)
		v := values{tenant: "tenant", node: "node", anyLabel: true, ports: portsOf(service)}
		service.rewrite(func(path, text string) string {
			out, err := v.expand(text)
			if err != nil {
				s.wrong(p.under(path), err.Error(), "")
			}
			b.personal = b.personal || out != text
			return out
		})
	}
	return b
}

// release names what the layers say: what a rollout spreads.
func release(layers []layer) string {
	said := make([]any, len(layers))
	for i, l := range layers {
		said[i] = l.raw
	}
	text, err := json.Marshal(said)
	if err != nil {
		panic("layers hold JSON values only: " + err.Error()) // Document.Spec promises it
	}
	return "r1:" + contentDigest(text)[len("sha256:"):][:32]
}

// portsOf returns the ports of a service, never nil.
func portsOf(s Service) map[string]int {
	if s.Ports == nil {
		return map[string]int{}
	}
	return s.Ports
}

// shared returns the services of the base told apart, for tenants that change
// none of them.
func (b *base) shared(within Duration) parts {
	p, ok := b.parts[within]
	if !ok {
		p = split(patient(b.services, within))
		b.parts[within] = p
	}
	return p
}

// patient returns services with the policy's healthWithin where a probe has none.
func patient(services map[string]Service, within Duration) map[string]Service {
	if within == 0 {
		return services
	}
	out := make(map[string]Service, len(services))
	for name, s := range Sorted(services) {
		if s.Health != nil && s.Health.Within == 0 {
			h := *s.Health
			h.Within = within
			s.Health = &h
		}
		out[name] = s
	}
	return out
}
