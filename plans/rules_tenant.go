package plans

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// bothPorts refuses the short and the long form of one port side by side.
func (s *subject) bothPorts(l layer) {
	for name, v := range Sorted(objectOf(specOf(l)["services"])) {
		service := objectOf(v)
		_, short := service["port"]
		_, long := objectOf(service["ports"])["http"]
		if short && long {
			s.report(l, root.at("services").at(name).at("port").String(), "port and ports.http are the same port", "keep one of them")
		}
	}
}

// specOf returns the layer's part of its document as it was written.
func specOf(l layer) map[string]any {
	spec := l.doc.Spec
	for token := range strings.SplitSeq(strings.TrimPrefix(l.prefix, "/"), "/") {
		if token != "" {
			spec = objectOf(spec[token])
		}
	}
	return spec
}

func (s *subject) checkTemplate(name string) {
	if name == "" || s.r.templates[name] != nil {
		return
	}
	s.wrong(root.at("template"), "there is no template "+strconv.Quote(name), have(name, s.r.templates))
}

// tombstone is what a removed tenant may still say; the rest would be ignored.
var tombstone = []string{"hold", "node", "removed", "runtime", "soak", "template", "volumes"}

func (s *subject) checkRemoved(raw map[string]any, d *Document) {
	rest := maps.Clone(raw)
	for _, key := range tombstone {
		delete(rest, key)
	}
	for key := range Sorted(rest) {
		s.wrong(root.at(key), "the tenant is removed, so "+key+" means nothing", "delete "+key+", or removed: true")
	}
	if d.Formerly != "" {
		s.r.found.add(d.At, "/metadata/formerly", "a removed tenant cannot also be the new name of another", "drop formerly, or removed: true")
	}
}

// checkTenant holds a tenant to the rules between its own fields.
func (s *subject) checkTenant(t *Tenant, services map[string]Service) {
	for _, rule := range tenantRules {
		rule(s, t)
	}
	sets := []map[string]Service{t.Core.Services}
	if t.Idle != nil {
		sets = append(sets, t.Idle.Services)
	}
	for _, core := range sets {
		all := core
		if len(t.Aside) > 0 {
			all = maps.Clone(core)
			if all == nil {
				all = map[string]Service{}
			}
			maps.Copy(all, t.Aside)
		}
		s.checkServices(all)
		s.checkMounts(t, all)
		s.checkRoutes(t, all)
	}
}

var tenantRules = []func(*subject, *Tenant){
	somethingRuns, knownPolicy, reasonToHold, formerName, idleNeedsTwoSlots, volumesMakeSense, publishedOnce, slotsDiffer,
}

func somethingRuns(s *subject, t *Tenant) {
	if len(t.Core.Services) == 0 && len(t.Aside) == 0 {
		s.lacks(root.at("services"), "tenant "+t.Name+" has no services", "name a template, or give it services")
	}
}

func knownPolicy(s *subject, t *Tenant) {
	if _, ok := s.r.policies[t.Policy]; !ok && t.Policy != "" {
		s.wrong(root.at("batchPolicy"), "there is no BatchPolicy "+strconv.Quote(t.Policy), have(t.Policy, s.r.policies))
	}
}

func reasonToHold(s *subject, t *Tenant) {
	if t.Hold != nil && strings.TrimSpace(t.Hold.Reason) == "" {
		s.wrong(root.at("hold"), "a hold has no reason", "add reason, for whoever finds it")
	}
}

func formerName(s *subject, t *Tenant) {
	own := s.layers[len(s.layers)-1].doc
	switch other := s.r.byName[t.Formerly]; {
	case t.Formerly == "":
	case t.Formerly == t.Name:
		s.r.found.add(own.At, "/metadata/formerly", "formerly is the tenant's own name", "drop formerly")
	case other != nil:
		s.r.found.add(own.At, "/metadata/formerly", fmt.Sprintf("formerly names tenant %s, which is still in the plan at %s", t.Formerly, other.At),
			"a rename keeps one of the two; drop the old document, or formerly")
	}
}

func idleNeedsTwoSlots(s *subject, t *Tenant) {
	if t.Idle != nil && t.Strategy == Recreate {
		idle := string(t.ActiveSlot.Other())
		s.wrong(root.at("slots").at(idle), "slot "+idle+" cannot run beside the active one under strategy recreate",
			"set strategy: blueGreen, or drop slots."+idle)
	}
}

// checkServices holds the services that run together to the rules among them.
func (s *subject) checkServices(services map[string]Service) {
	for name, service := range Sorted(services) {
		p := root.at("services").at(name)
		if service.Image == "" {
			s.wrong(p, "service "+name+" has no image", "add image: REPOSITORY@sha256:…; `reconcile pin` finds the digest of a tag")
		}
		for i, after := range service.After {
			if text, hint := badAfter(name, service, after, services); text != "" {
				s.wrong(p.at("after").index(i), text, hint)
			}
		}
	}
	if ring := cycle(services); len(ring) > 1 {
		s.wrong(root.at("services").at(ring[0]).at("after"), "services wait for each other: "+strings.Join(ring, " after "), "drop one of these after")
	}
}

func badAfter(name string, service Service, after string, services map[string]Service) (text, hint string) {
	other, known := services[after]
	early := service.Job != nil && service.Job.At == BeforeStart
	switch {
	case !known:
		return "there is no service " + strconv.Quote(after), have(after, services)
	case after == name:
		return "service " + name + " waits for itself", "drop it from after"
	case early && (other.Job == nil || other.Job.At != BeforeStart):
		return "job " + name + " runs before the services start, and " + after + " is not there yet", "set job.at: beforeSwitch, or drop " + after + " from after"
	case service.Job == nil && other.Job != nil && other.Job.At != BeforeStart:
		return "service " + name + " would wait for job " + after + ", which runs when all services are up", "set at: beforeStart for the job, or drop it from after"
	case service.Job == nil && !service.WhenRouted() && other.WhenRouted():
		return "service " + name + " would wait for " + after + ", which starts only after the switch", "set active: whenRouted for " + name + ", or drop " + after + " from after"
	case service.Scope == "tenant" && other.Scope != "tenant":
		return "service " + name + " outlives the slots that " + after + " lives in", "drop " + after + " from after"
	}
	return "", ""
}

// cycle returns names of services that wait for each other in a ring, the
// first one again at the end; nil if there are none.
func cycle(services map[string]Service) []string {
	done := map[string]bool{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		for i, above := range path {
			if above == name {
				return append(append([]string(nil), path[i:]...), name)
			}
		}
		if done[name] {
			return nil
		}
		path = append(path, name)
		for _, after := range services[name].After {
			if _, known := services[after]; known && after != name {
				if ring := visit(after); ring != nil {
					return ring
				}
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		return nil
	}
	for name, service := range Sorted(services) {
		if len(service.After) == 0 {
			continue
		}
		if ring := visit(name); ring != nil {
			return ring
		}
	}
	return nil
}

// checkRoutes holds the routes to the services they lead to.
func (s *subject) checkRoutes(t *Tenant, services map[string]Service) {
	for name, r := range Sorted(t.Routes) {
		p := root.at("routes").at(name)
		if why := badName(name); why != "" {
			s.wrong(p, "route name "+strconv.Quote(name)+" "+why, "")
		}
		if len(r.Hosts) == 0 {
			s.lacks(p.at("hosts"), "route "+name+" has no hosts", "add routes."+name+".hosts")
		}
		if r.Path != "" && (r.Path[0] != '/' || r.Path != "/" && !clean(strings.TrimSuffix(r.Path[1:], "/")) || strings.ContainsAny(r.Path, "?#{} ")) {
			s.wrong(p.at("path"), strconv.Quote(r.Path)+" is not a path prefix", "write it like /api")
		}
		service, known := services[r.Service]
		switch {
		case r.Service == "":
			s.wrong(p, "route "+name+" leads to no service", have("", services))
		case !known:
			s.wrong(p.at("service"), "there is no service "+strconv.Quote(r.Service), have(r.Service, services))
		case service.Job != nil:
			s.wrong(p.at("service"), "service "+r.Service+" is a job and takes no requests", "lead the route to a service that stays")
		case service.WhenRouted():
			s.wrong(p.at("service"), "service "+r.Service+" starts only after the switch, so nothing can be led to it before", "drop active: whenRouted")
		default:
			s.checkRoutePort(p, r, service)
		}
	}
}

func (s *subject) checkRoutePort(p *place, r Route, service Service) {
	_, known := service.Ports[r.Port]
	_, only := onlyPort(service.Ports)
	switch {
	case r.Port != "" && !known:
		s.wrong(p.at("port"), "service "+r.Service+" has no port "+r.Port, have(r.Port, service.Ports))
	case r.Port == "" && len(service.Ports) == 0:
		s.wrong(p, "service "+r.Service+" has no port", "add port: 8080 to it, or whatever it listens on")
	case r.Port == "" && !only:
		s.wrong(p, "service "+r.Service+" has several ports and none is named http", "say which: "+have("", service.Ports))
	}
}
