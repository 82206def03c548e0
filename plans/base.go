package plans

import (
	"fmt"
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

// load fills in what a service's files hold: content from the commit, digests.
func (s *subject) load(p *place, service Service) Service {
	var files map[string]File
	for path, f := range Sorted(service.Files) {
		if f.Digest != "" {
			continue
		}
		if files == nil {
			files = maps.Clone(service.Files)
		}
		f.Digest = contentDigest([]byte(f.Text))
		if f.From != "" {
			content, why := s.r.content(f.From)
			if why != "" {
				s.wrong(p.at("files").at(path).at("from"), why, "paths are from the root of the plan")
			}
			f.Content, f.Digest = content.Content, content.Digest
		}
		files[path] = f
	}
	if files != nil {
		service.Files = files
	}
	return service
}

// MaxFile is the largest file a plan may place in an instance: it is kept in
// memory, in the journal, and sent to the runtime. 1 MiB is what Kubernetes
// allows a ConfigMap.
const MaxFile = 1 << 20

// content reads a file of the commit, once however many services name it.
func (r *resolver) content(path string) (File, string) {
	if f, ok := r.files[path]; ok {
		return f, ""
	}
	if !insideRoot(path) {
		return File{}, fmt.Sprintf("%q leaves the plan", path)
	}
	if r.o.File == nil {
		return File{}, fmt.Sprintf("read %s: files of the commit are not at hand", path)
	}
	content, err := r.o.File(path)
	switch {
	case err != nil:
		return File{}, fmt.Sprintf("read %s: %v", path, err)
	case len(content) > MaxFile:
		return File{}, fmt.Sprintf("%s has %d bytes; a file in a plan has at most %d", path, len(content), MaxFile)
	}
	if content == nil {
		content = []byte{}
	}
	f := File{Content: content, Digest: contentDigest(content)}
	r.files[path] = f
	return f, ""
}
