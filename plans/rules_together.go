package plans

import (
	"strconv"
	"strings"
)

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
