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
var tombstone = []string{"hold", "node", "removed", "retention", "runtime", "soak", "template", "volumes"}

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
