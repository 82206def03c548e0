package plans

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// String writes the place as editors read it: file:line:column.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error writes the problem in one line, without its hint.
func (p Problem) Error() string {
	parts := make([]string, 0, 3)
	if at := p.Pos.String(); at != "" {
		parts = append(parts, at)
	}
	if p.Path != "" {
		parts = append(parts, p.Path)
	}
	return strings.Join(append(parts, p.Text), ": ")
}

// problems collects what is wrong. A problem of a template that many tenants
// run into is kept once, with how many they are.
type problems struct {
	list []Problem
	seen map[Problem]*meeting
}

type meeting struct {
	index int
	first string
	count int
}

func (ps *problems) add(at Pos, path, text, hint string) {
	ps.addFor("", Problem{Pos: at, Path: path, Text: text, Hint: hint})
}

// addFor adds a problem that a tenant met in a document that is not its own.
func (ps *problems) addFor(tenant string, p Problem) {
	if ps.seen == nil {
		ps.seen = map[Problem]*meeting{}
	}
	m := ps.seen[p]
	if m == nil {
		m = &meeting{index: len(ps.list), first: tenant}
		ps.seen[p] = m
		ps.list = append(ps.list, p)
	}
	if tenant != "" {
		m.first = cmp.Or(m.first, tenant)
		m.count++
	}
}

func (ps *problems) sorted() []Problem {
	out := slices.Clone(ps.list)
	for _, p := range ps.list {
		switch m := ps.seen[p]; m.count {
		case 0:
		case 1:
			out[m.index].Text += " (tenant " + m.first + ")"
		default:
			out[m.index].Text += fmt.Sprintf(" (tenant %s and %d more)", m.first, m.count-1)
		}
	}
	slices.SortFunc(out, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text),
		)
	})
	return out
}

// subject is what is being read: the layers it is made of, and the tenant it
// is for ("" for a template by itself).
type subject struct {
	r      *resolver
	layers []layer // lowest first
	tenant string
}

func (s *subject) reader() reader { return reader{wrong: s.wrong} }

// wrong reports a problem at the document that p comes from.
func (s *subject) wrong(p *place, text, hint string) {
	path := p.String()
	s.report(owner(s.layers, path), path, text, hint)
}

// lacks reports that the tenant itself should have said something at p.
func (s *subject) lacks(p *place, text, hint string) {
	s.report(s.layers[len(s.layers)-1], p.String(), text, hint)
}

func (s *subject) report(l layer, path, text, hint string) {
	p := Problem{Pos: l.where(path), Path: "/spec" + l.prefix + path, Text: text, Hint: hint}
	tenant := s.tenant
	if l.doc.Kind == KindTenant {
		tenant = "" // its own file says who it is
	}
	s.r.found.addFor(tenant, p)
}
