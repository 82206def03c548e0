package plans

// StartOrder returns the names of services so that each comes after those its
// After names; ties are broken by name. Names in After that are not in services
// are passed over. Services in a cycle, which Resolve refuses, come last by name.
func StartOrder(services map[string]Service) []string {
	order := make([]string, 0, len(services))
	placed := make(map[string]bool, len(services))
	for len(order) < len(services) {
		before := len(order)
		for name, s := range Sorted(services) {
			if !placed[name] && ready(s.After, services, placed) {
				order = append(order, name)
				placed[name] = true
				break // start again, so that ties are by name and not by round
			}
		}
		if len(order) == before {
			for name := range Sorted(services) {
				if !placed[name] {
					order = append(order, name)
				}
			}
		}
	}
	return order
}

func ready(after []string, services map[string]Service, placed map[string]bool) bool {
	for _, a := range after {
		if _, known := services[a]; known && !placed[a] {
			return false
		}
	}
	return true
}
