package reconcile

import (
	"maps"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// op is the word for the way from what runs to what the plan says.
func (m *machine) op() Op {
	switch {
	case m.in.Want == nil:
		return Keep
	case m.in.Want.Hold != nil && m.report.State == Held:
		return Hold
	case m.in.Want.Removed:
		return Delete
	case m.rec.Current == nil:
		return Add
	case m.coreMoves():
		return m.coreOp()
	case m.rec.Target != m.target && !m.same():
		return Update
	}
	return Keep
}

// same says that the targets differ in words only: auto and the named slot that
// serves anyway.
func (m *machine) same() bool {
	a, b := m.rec.Target, m.target
	a.Active, b.Active = plans.NoSlot, plans.NoSlot
	return a == b
}

// Change is what the plan would change of a tenant, in words. It names fields
// and never their values, except images: values may be secret.
type Change struct {
	Tenant string         `json:"tenant"`
	Op     Op             `json:"op"`
	From   string         `json:"from,omitempty"` // generation that serves
	To     string         `json:"to,omitempty"`   // generation the plan says
	Parts  []ServiceShift `json:"parts,omitempty"`
	// Routes says that the routes are not those of the plan.
	Routes bool `json:"routes,omitempty"`
}

// ServiceShift is what changes of one service.
type ServiceShift struct {
	Service string   `json:"service"`
	Op      Op       `json:"op"` // Add, Update, Delete
	Fields  []string `json:"fields,omitempty"`
	// From and To are the images, where they differ.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Diff says what the plan would change of a tenant. Digests decide whether;
// fields explain what.
func Diff(in Input, rec Record) Change {
	m := begin(in, rec)
	c := Change{Tenant: in.Name, Op: m.op(), To: m.target.Core}
	old := map[string]plans.Service{}
	if cur := m.rec.Current; cur != nil {
		c.From = cur.Generation
		parts, _ := m.parts(cur)
		shared, _ := m.shared()
		for _, p := range append(parts, shared...) {
			old[p.name] = *p.svc
		}
		c.Routes = m.want != nil && !sameEntry(m.liveEntry(), m.rec.Entry)
	}
	all := map[string]plans.Service{}
	if m.want != nil {
		maps.Copy(all, m.want.Core.Services)
		maps.Copy(all, m.want.Aside)
	}
	if m.in.Want == nil {
		all = old // the plan does not name it: nothing is changed
	}
	for name, s := range plans.Sorted(all) {
		was, had := old[name]
		switch {
		case !had:
			c.Parts = append(c.Parts, ServiceShift{Service: name, Op: Add, To: s.Image})
		case was.Digest() != s.Digest():
			shift := ServiceShift{Service: name, Op: Update, Fields: fields(was, s)}
			if was.Image != s.Image {
				shift.From, shift.To = was.Image, s.Image
			}
			c.Parts = append(c.Parts, shift)
		}
	}
	for name, s := range plans.Sorted(old) {
		if _, wanted := all[name]; !wanted {
			c.Parts = append(c.Parts, ServiceShift{Service: name, Op: Delete, From: s.Image})
		}
	}
	slices.SortStableFunc(c.Parts, func(a, b ServiceShift) int { return strings.Compare(a.Service, b.Service) })
	return c
}

// fields names the fields in which two services differ, as the plan calls them.
func fields(a, b plans.Service) []string {
	x, y := object(a), object(b)
	var names []string
	for name := range plans.Sorted(x) {
		if string(x[name]) != string(y[name]) {
			names = append(names, name)
		}
	}
	for name := range plans.Sorted(y) {
		if _, both := x[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Lines returns the change as lines for a person, glyph first.
func (c Change) Lines() []string {
	head := string(c.Op) + " " + c.Tenant
	switch {
	case c.From != "" && c.To != "" && c.From != c.To:
		head += " " + short(c.From) + " → " + short(c.To)
	case c.From == "" && c.To != "":
		head += " " + short(c.To)
	}
	lines := []string{head}
	for _, p := range c.Parts {
		line := "  " + string(p.Op) + " " + p.Service
		switch {
		case p.From != "" && p.To != "":
			line += " " + p.From + " → " + p.To
		case p.To != "":
			line += " " + p.To
		case p.From != "":
			line += " " + p.From
		}
		if len(p.Fields) > 0 {
			line += " (" + strings.Join(p.Fields, ", ") + ")"
		}
		lines = append(lines, line)
	}
	if c.Routes {
		lines = append(lines, "  ~ routes")
	}
	return lines
}
