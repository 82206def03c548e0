package plans

import "strings"

// Memory keeps the tenants of one Resolve for the next, so that a commit costs
// what it changes. A tenant is taken from it if its own document and all that it
// is made of are the same by their hashes. The zero Memory is empty; it is used
// by one Resolve at a time, and holds what the last one without a problem found
// and nothing older. It shares the tenants with that plan, which must not be
// changed.
type Memory struct {
	env     string            // hash of what every tenant is made of
	files   map[string]string // digest of each file of the commit that was read
	tenants map[string]remembered
}

// remembered is a tenant and the hashes of its document and template.
type remembered struct {
	document, template string
	tenant             *Tenant
}

// environment names all that tenants share but templates: node, Fleet document
// and policies. "" where a hash is not known.
func (r *resolver) environment(docs []Document) string {
	parts := []string{r.o.Node}
	for i := range docs {
		if d := &docs[i]; d.Kind == KindFleet || d.Kind == KindBatchPolicy {
			if d.Hash == "" {
				return ""
			}
			parts = append(parts, d.Hash)
		}
	}
	return strings.Join(parts, "\n")
}

// recall returns the memory if it holds for this plan, else one that is empty,
// and the one to fill; both are nil where nothing shall be remembered.
func (r *resolver) recall(docs []Document) (before, next *Memory) {
	m := r.o.Memory
	if m == nil {
		return nil, nil
	}
	next = &Memory{env: r.environment(docs), files: map[string]string{}, tenants: make(map[string]remembered, len(r.tenants))}
	if next.env == "" {
		return nil, nil
	}
	if m.env != next.env {
		return nil, next
	}
	for path, digest := range Sorted(m.files) {
		// Read now, the file counts as read by this plan too.
		if f, _ := r.content(path); f.Digest != digest {
			return nil, next
		}
	}
	return m, next
}

// known returns the tenant as it was, if nothing of it can have changed.
func (m *Memory) known(r *resolver, d *Document) (Tenant, bool) {
	if m == nil {
		return Tenant{}, false
	}
	was, ok := m.tenants[d.Name]
	if !ok || was.document != d.Hash || was.template != r.templateHash(was.tenant.Template) {
		return Tenant{}, false
	}
	return *was.tenant, true
}

// note remembers a tenant. One with another past is judged beside all others
// each time.
func (m *Memory) note(r *resolver, d *Document, t Tenant) {
	template := r.templateHash(t.Template)
	if m == nil || d.Hash == "" || template == "" || t.Formerly != "" {
		return
	}
	m.tenants[d.Name] = remembered{d.Hash, template, &t}
}

// templateHash is the hash of a template's document; "none" names no template.
func (r *resolver) templateHash(name string) string {
	switch d := r.templates[name]; {
	case name == "":
		return "none"
	case d == nil:
		return ""
	default:
		return d.Hash
	}
}

// keep makes next what the memory holds, of tenants of this node those of the plan.
func (m *Memory) keep(r *resolver, next *Memory, plan *Plan) {
	if next == nil {
		*m = Memory{}
		return
	}
	for path, f := range Sorted(r.files) {
		next.files[path] = f.Digest
	}
	for i := range plan.Tenants {
		t := &plan.Tenants[i]
		if known, ok := next.tenants[t.Name]; ok {
			known.tenant = t
			next.tenants[t.Name] = known
		}
	}
	*m = *next
}
