package plans

import (
	"fmt"
	"slices"
	"strings"
)

// Notes says of a plan that holds what is likely not meant, in sentences.
func (p *Plan) Notes() []string {
	follow := map[string][]*Tenant{} // by policy
	for i := range p.Tenants {
		if t := &p.Tenants[i]; t.Policy != "" && !t.Removed {
			follow[t.Policy] = append(follow[t.Policy], t)
		}
	}
	var out []string
	for name, tenants := range Sorted(follow) {
		policy := p.Policies[name]
		seen, outside := map[string]bool{}, 0
		for _, t := range tenants {
			ring := t.Labels["ring"]
			if seen[ring] = true; !slices.Contains(policy.Rings, ring) {
				outside++
			}
		}
		c := policy.Canary
		if c != nil && !slices.ContainsFunc(tenants, func(t *Tenant) bool { return c.Selects(t.Labels) }) {
			out = append(out, "BatchPolicy "+name+": no tenant here is selected as canary: the first one that may move is")
		}
		if note := policy.RingsNote(seen, outside); note != "" {
			out = append(out, "BatchPolicy "+name+": "+note)
		}
	}
	return out
}

// RingsNote says which rings of the policy no tenant is in, of those that are
// seen, and how many tenants come last for being in none of them; "" where each
// ring has some.
func (p *BatchPolicy) RingsNote(seen map[string]bool, outside int) string {
	var empty []string
	for _, ring := range p.Rings {
		if !seen[ring] {
			empty = append(empty, ring)
		}
	}
	text := ""
	switch len(empty) {
	case 0:
		return ""
	case 1:
		text = "ring " + empty[0] + " has no tenant here"
	default:
		text = "rings " + strings.Join(empty, ", ") + " have no tenant here"
	}
	switch outside {
	case 0:
		return text
	case 1:
		return text + "; 1 tenant of no listed ring comes last"
	}
	return text + fmt.Sprintf("; %d tenants of no listed ring come last", outside)
}
