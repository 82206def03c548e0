package plans

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// tenant resolves one tenant, whose layers are those of the subject.
func (r *resolver) tenant(d *Document) (draft, *subject) {
	own := layer{"tenant", d, "", longForm(d.Spec)}
	template, _ := d.Spec["template"].(string)
	b := r.base(template)
	s := &subject{r: r, tenant: d.Name}
	s.layers = append(slices.Clip(b.layers), own)
	s.bothPorts(own)
	s.checkTemplate(template)

	read := s.reader()
	t := read.apply(b.draft, own.raw)
	t.Name, t.Labels, t.Formerly = d.Name, d.Labels, d.Formerly
	if t.Removed {
		s.checkRemoved(own.raw, d)
		t.Tenant.Core, t.Idle, t.Aside, t.Routes = Core{}, nil, nil, nil
		s.volumes(&t.Tenant)
		return t, s
	}
	s.split(&t, b, own)
	s.routes(&t.Tenant)
	s.volumes(&t.Tenant)
	if t.Strategy == "" {
		t.Strategy = Recreate
		if len(t.Routes) > 0 || t.Overlap {
			t.Strategy = BlueGreen
		}
	}
	s.checkTenant(&t.Tenant, t.services)
	return t, s
}

// split tells the services of a tenant apart, after its active slot's
// overrides, and makes the core of the idle slot.
func (s *subject) split(t *draft, b *base, own layer) {
	within := s.r.policies[t.Policy].HealthWithin
	slots := s.slots(t)
	touched := objectOf(own.raw["services"])
	if len(touched) == 0 && !b.personal && len(slots) == 0 {
		p := b.shared(within)
		t.Core.Services, t.Aside = p.core, p.aside
		return
	}
	base := t.services
	finish := func(services, patch map[string]Service, at *subject) parts {
		return split(patient(at.finish(&t.Tenant, services, patch), within))
	}
	said := make(map[string]Service, len(touched))
	for name := range Sorted(touched) {
		said[name] = Service{}
	}
	p := finish(base, said, s)
	t.Aside = p.aside
	t.Core.Services = p.core
	for slot, patch := range Sorted(slots) {
		services, at, changed := s.override(slot, base, objectOf(t.raw["services"]), patch, p.aside)
		if slot == t.ActiveSlot {
			if len(changed) > 0 {
				t.Core.Services = finish(services, maps.Clone(changed), at).core
			}
			continue
		}
		maps.Copy(changed, said)
		t.Idle = &Core{Services: finish(services, changed, at).core}
	}
}

// slots reads `slots`: ports that are fixed, and what is left to be merged,
// which is nothing while the active slot is chosen by us.
func (s *subject) slots(t *draft) map[Slot]map[string]any {
	p := root.at("slots")
	read := s.reader()
	out := map[Slot]map[string]any{}
	for name, v := range Sorted(read.object(p, t.raw["slots"])) {
		slot, q := Slot(name), p.at(name)
		if slot != Blue && slot != Green {
			s.wrong(q, "there is no slot "+name, "the slots are blue and green")
			continue
		}
		body := read.object(q, v)
		if ports := s.fixedPorts(q.at("ports"), body["ports"], t.services); ports != nil {
			if t.FixedPorts == nil {
				t.FixedPorts = map[Slot]map[string]int{}
			}
			t.FixedPorts[slot] = ports
		}
		services := read.object(q.at("services"), body["services"])
		switch {
		case t.ActiveSlot != NoSlot:
			out[slot] = services
		case len(services) > 0:
			s.wrong(q.at("services"), "services can differ by slot only where activeSlot names the active one",
				"set activeSlot: blue or green, or move this to services")
		}
	}
	return out
}

// override merges a slot's services. Its problems are placed in the slot.
func (s *subject) override(slot Slot, base map[string]Service, raw, patch map[string]any, aside map[string]Service) (map[string]Service, *subject, map[string]Service) {
	owning := owner(s.layers, "/slots/"+string(slot))
	at := &subject{r: s.r, tenant: s.tenant}
	at.layers = append(slices.Clip(s.layers), layer{
		name: "slots." + string(slot), doc: owning.doc, prefix: owning.prefix + "/slots/" + string(slot),
		raw: map[string]any{"services": patch},
	})
	p := root.at("services")
	changed := make(map[string]Service, len(patch))
	for name := range Sorted(patch) {
		if _, alone := aside[name]; alone {
			at.wrong(p.at(name), "service "+name+" is upgraded alone and is the same for both slots", "change it under services")
		}
		changed[name] = Service{}
	}
	merged := objectOf(Merge(raw, patch))
	return at.reader().services(base, p, merged, patch), at, changed
}

// finish loads and expands services, and checks those that a layer of the
// tenant touched or that hold something of its own.
func (s *subject) finish(t *Tenant, services, touched map[string]Service) map[string]Service {
	out := make(map[string]Service, len(services))
	for name, service := range Sorted(services) {
		p := root.at("services").at(name)
		_, check := touched[name]
		if check {
			service = s.load(p, service)
		}
		v := s.values(t, portsOf(service))
		service = service.rewrite(func(path, text string) string {
			expanded := s.expand(v, p.under(path), text)
			check = check || expanded != text
			return expanded
		})
		if check {
			s.checkService(p, name, service)
		}
		out[name] = service
	}
	return out
}

func (s *subject) values(t *Tenant, ports map[string]int) values {
	node := t.Node
	if node == "" {
		node = s.r.o.Node
	}
	return values{tenant: t.Name, node: node, labels: t.Labels, ports: ports}
}

// expand reports an unknown name; one of a label at the tenant that lacks it.
func (s *subject) expand(v values, p *place, text string) string {
	out, err := v.expand(text)
	if err == nil {
		return out
	}
	if unknown, ok := err.(unknownName); ok && strings.HasPrefix(unknown.name, "label.") {
		label := strings.TrimPrefix(unknown.name, "label.")
		own := s.layers[len(s.layers)-1]
		s.r.found.add(own.doc.At, "/metadata/labels", "tenant "+s.tenant+" has no label "+label+", which "+p.String()+" uses",
			"add metadata.labels."+label)
		return text
	}
	s.wrong(p, err.Error(), "")
	return text
}

// routes expands the hosts of a tenant and brings them to one spelling.
func (s *subject) routes(t *Tenant) {
	if len(t.Routes) == 0 {
		return
	}
	v := s.values(t, nil)
	routes := make(map[string]*Route, len(t.Routes))
	for name, r := range Sorted(t.Routes) {
		p := root.at("routes").at(name).at("hosts")
		hosts := make([]string, len(r.Hosts))
		for i, h := range r.Hosts {
			hosts[i] = strings.TrimSuffix(strings.ToLower(s.expand(v, p.index(i), h)), ".")
			if why := badHost(hosts[i]); why != "" {
				s.wrong(p.index(i), "host "+strconv.Quote(hosts[i])+" "+why, "")
			}
		}
		slices.Sort(hosts)
		own := *r // r is the template's
		own.Hosts = hosts
		routes[name] = &own
	}
	t.Routes = routes
}

// volumes expands the sources of a tenant's volumes.
func (s *subject) volumes(t *Tenant) {
	v := s.values(t, nil)
	for name, volume := range Sorted(t.Volumes) {
		p := root.at("volumes").at(name).at("source")
		source := s.expand(v, p, volume.Source)
		if source != volume.Source {
			t.Volumes = maps.Clone(t.Volumes)
			volume.Source = source
			t.Volumes[name] = volume
		}
		if leaves(source) {
			s.wrong(p, "source "+strconv.Quote(source)+" holds .. and could leave its root", "name the parent itself")
		}
	}
}
