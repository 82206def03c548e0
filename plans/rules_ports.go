package plans

import (
	"fmt"
	"strconv"
	"strings"
)

// fixedPorts reads the host ports that a slot fixes, by service/port.
func (s *subject) fixedPorts(p *place, v any, services map[string]Service) map[string]int {
	ports := table(s.reader(), p, v, s.reader().integer)
	for key, port := range Sorted(ports) {
		service, name, _ := strings.Cut(key, "/")
		portInRange(s, p.at(key), port)
		if found, ok := services[service]; !ok {
			s.wrong(p.at(key), "there is no service "+strconv.Quote(service), have(service, services))
		} else if _, ok := found.Ports[name]; !ok {
			s.wrong(p.at(key), "service "+service+" has no port "+strconv.Quote(name), have(name, found.Ports))
		} else if found.Scope == "tenant" {
			s.wrong(p.at(key), "service "+service+" is in no slot", "drop it from slots")
		}
	}
	return ports
}

// publishedOnce refuses ports published by a service that is there twice for
// the time of an upgrade.
func publishedOnce(s *subject, t *Tenant) {
	if t.Strategy != BlueGreen {
		return
	}
	for _, services := range []map[string]Service{t.Core.Services, t.Aside} {
		for name, service := range Sorted(services) {
			if service.Scope == "tenant" || service.Job != nil {
				continue
			}
			for i, pub := range service.Publish {
				if t.Idle == nil || t.Idle.publishes(pub) || service.Sidecar {
					s.wrong(root.at("services").at(name).at("publish").index(i),
						fmt.Sprintf("under blueGreen two slots would publish port %d of the host at the same time", pub.Port),
						"set strategy: recreate, or name activeSlot and let each slot publish another port under slots")
				}
			}
		}
	}
}

func (c *Core) publishes(p Publish) bool {
	for _, service := range Sorted(c.Services) {
		for _, other := range service.Publish {
			if p.clashes(other) {
				return true
			}
		}
	}
	return false
}

// clashes says that p and o cannot both be on one host.
func (p Publish) clashes(o Publish) bool {
	return p.Port == o.Port && p.Protocol == o.Protocol &&
		(p.Host == o.Host || everywhere(p.Host) || everywhere(o.Host))
}

func everywhere(host string) bool { return host == "0.0.0.0" || host == "::" }

// slotsDiffer refuses one fixed port for both slots.
func slotsDiffer(s *subject, t *Tenant) {
	for key, port := range Sorted(t.FixedPorts[Green]) {
		for other, taken := range Sorted(t.FixedPorts[Blue]) {
			if port == taken {
				s.wrong(root.at("slots").at(string(Green)).at("ports").at(key),
					fmt.Sprintf("port %d is fixed for %s in slot blue too", port, other), "fix another one")
			}
		}
	}
}
