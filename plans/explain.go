package plans

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Field is one leaf of a resolved tenant and where its value comes from.
type Field struct {
	// Path is the field's place in a spec, in long form: "/services/app/image".
	Path string `json:"path"`
	// Value is as written, before expansion; a list is one value.
	Value any `json:"value"`
	// Layer is default, fleet, template, tenant, policy, or slots.<slot> for
	// what the active slot overrides. From is the place in that layer's
	// document, zero for a default.
	Layer string `json:"layer"`
	From  Pos    `json:"from,omitzero"`
}

// Explain resolves one tenant and says of each value where it comes from,
// sorted by path. What the idle slot overrides stays under "/slots/<slot>".
// The problems are those of this tenant and its template alone.
func Explain(docs []Document, tenant string, o Options) ([]Field, []Problem) {
	r := newResolver(docs, o)
	d := r.byName[tenant]
	if d == nil {
		return nil, []Problem{{Text: "there is no tenant " + strconv.Quote(tenant), Hint: have(tenant, r.byName)}}
	}
	r.found = problems{}
	t, s := r.tenant(d)
	e := explanation{s: s, active: t.ActiveSlot}
	e.fields(root, e.activated(t.raw))
	e.defaults(&t, r.policies[t.Policy])
	slices.SortFunc(e.out, func(a, b Field) int { return cmp.Compare(a.Path, b.Path) })
	return e.out, r.found.sorted()
}

type explanation struct {
	s      *subject
	active Slot
	out    []Field
}

// activated returns spec with what the active slot overrides in its place.
func (e *explanation) activated(spec map[string]any) map[string]any {
	slots := objectOf(spec["slots"])
	body := objectOf(slots[string(e.active)])
	services, overrides := body["services"]
	if !overrides {
		return spec
	}
	body = maps.Clone(body)
	delete(body, "services")
	slots = maps.Clone(slots)
	slots[string(e.active)] = body
	spec = maps.Clone(spec)
	spec["slots"], spec["services"] = slots, Merge(spec["services"], services)
	return spec
}

// fields adds the leaves of v.
func (e *explanation) fields(p *place, v any) {
	if m, ok := v.(map[string]any); ok && len(m) > 0 {
		for key, v := range Sorted(m) {
			e.fields(p.at(key), v)
		}
		return
	}
	path := p.String()
	layer, from := e.origin(path)
	e.out = append(e.out, Field{Path: path, Value: v, Layer: layer, From: from})
}

func (e *explanation) origin(path string) (string, Pos) {
	if e.active != NoSlot && strings.HasPrefix(path, "/services/") {
		slot := "/slots/" + string(e.active) + path
		if l := owner(e.s.layers, slot); l.has(slot) {
			return "slots." + string(e.active), l.where(slot)
		}
	}
	l := owner(e.s.layers, path)
	return l.name, l.where(path)
}

// defaults adds what holds though no document says it.
func (e *explanation) defaults(t *draft, policy BatchPolicy) {
	if t.Removed {
		return
	}
	e.unset("/strategy", string(t.Strategy))
	e.unset("/activeSlot", "auto")
	e.unset("/bake", t.Bake.String())
	e.unset("/drain", t.Drain.String())
	e.unset("/soak/for", t.Soak.For.String())
	for name, service := range Sorted(t.Core.Services) {
		e.probe(name, service, policy)
	}
	for name, service := range Sorted(t.Aside) {
		e.probe(name, service, policy)
	}
}

func (e *explanation) probe(name string, service Service, policy BatchPolicy) {
	if service.Health == nil {
		return
	}
	h, at := service.Health.Effective(), "/services/"+name+"/health"
	e.unset(at+"/interval", h.Interval.String())
	e.unset(at+"/timeout", h.Timeout.String())
	e.unset(at+"/successes", h.Successes)
	e.unset(at+"/failures", h.Failures)
	if e.unset(at+"/within", h.Within.String()) && policy.HealthWithin > 0 {
		l := &e.out[len(e.out)-1]
		l.Layer, l.From = "policy", e.s.r.policyAt[policy.Name]
	}
}

// unset adds a default, unless a document gave the field.
func (e *explanation) unset(path string, value any) bool {
	given := slices.ContainsFunc(e.out, func(f Field) bool { return f.Path == path })
	if !given {
		e.out = append(e.out, Field{Path: path, Value: value, Layer: "default"})
	}
	return !given
}
