package plans

import (
	"strconv"
	"strings"
)

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

func (s *subject) checkRoutePort(p *place, r *Route, service Service) {
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
