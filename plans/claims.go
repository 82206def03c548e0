package plans

import (
	"cmp"
	"fmt"
)

// claims are what only one tenant of a host can have. Tenants on different
// nodes never meet.
type claims struct {
	r      *resolver
	hosts  map[[2]string][]claim // by host and path
	ports  map[int][]portClaim
	former map[string]claim
	data   claimedData
}

type claim struct {
	tenant, node string
}

type portClaim struct {
	claim
	Publish
}

func newClaims(r *resolver) *claims {
	return &claims{
		r:      r,
		hosts:  make(map[[2]string][]claim, len(r.tenants)),
		ports:  map[int][]portClaim{},
		former: map[string]claim{},
		data:   claimedData{imported: map[dataPlace][]claim{}, around: map[dataPlace][]claim{}, sources: map[dataPlace][]claim{}},
	}
}

// meet says that two claims are on one host.
func (c claim) meet(o claim) bool { return c.node == "" || o.node == "" || c.node == o.node }

// tenant enters what t claims and reports what others have claimed before.
func (c *claims) tenant(t *Tenant, s *subject) {
	mine := claim{tenant: t.Name, node: t.Node}
	if t.Formerly != "" {
		if first, taken := c.former[t.Formerly]; taken {
			at := s.layers[len(s.layers)-1].doc.At
			c.r.found.add(at, "/metadata/formerly", "tenant "+first.tenant+" was formerly "+t.Formerly+" too", "one of them has another past")
		}
		c.former[t.Formerly] = mine
	}
	if t.Removed {
		return
	}
	c.routes(t, s, mine)
	for name, v := range Sorted(t.Volumes) {
		c.volume(v, s, root.at("volumes").at(name).at("source"), mine)
	}
	c.published(t, s, mine)
}

func (c *claims) routes(t *Tenant, s *subject, mine claim) {
	for name, r := range Sorted(t.Routes) {
		p := root.at("routes").at(name).at("hosts")
		for _, host := range r.Hosts {
			path := cmp.Or(r.Path, "/")
			key := [2]string{host, path}
			c.hosts[key] = c.enter(c.hosts[key], mine, s, p, "routes "+host+path, "a host and path leads to one service")
		}
	}
}

// enter adds a claim and reports one that was there before.
func (c *claims) enter(before []claim, mine claim, s *subject, p *place, what, hint string) []claim {
	for _, other := range before {
		if other.meet(mine) {
			s.lacks(p, fmt.Sprintf("tenant %s %s, and so does this one", other.tenant, what), hint)
			break
		}
	}
	return append(before, mine)
}

func (c *claims) published(t *Tenant, s *subject, mine claim) {
	enter := func(p *place, pub Publish) {
		for _, other := range c.ports[pub.Port] {
			if other.tenant != mine.tenant && other.meet(mine) && other.clashes(pub) {
				s.lacks(p, fmt.Sprintf("port %d of the host is taken by tenant %s", pub.Port, other.tenant), "choose another port")
			}
		}
		c.ports[pub.Port] = append(c.ports[pub.Port], portClaim{mine, pub})
	}
	sets := []map[string]Service{t.Core.Services, t.Aside}
	if t.Idle != nil {
		sets = append(sets, t.Idle.Services)
	}
	for _, services := range sets {
		for name, service := range Sorted(services) {
			for i, pub := range service.Publish {
				enter(root.at("services").at(name).at("publish").index(i), pub)
			}
		}
	}
	for slot, ports := range Sorted(t.FixedPorts) {
		for key, port := range Sorted(ports) {
			enter(root.at("slots").at(string(slot)).at("ports").at(key), Publish{Port: port})
		}
	}
}
