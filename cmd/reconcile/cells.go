package main

import (
	"strings"
	"unicode/utf8"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// mark is how a class of members of a rollout is drawn.
type mark struct {
	class, glyph, colour, word string
}

// marks are in the order of the legend.
var marks = []mark{
	{"upgraded", "✓", green, "upgraded"},
	{"failed", "✗", red, "failed"},
	{"rolledBack", "←", yellow, "rolled back"},
	{"moving", "●", cyan, "on the way"},
	{"pending", "·", dim, "to come"},
	{"held", "=", yellow, "held"},
	{"skipped", "-", dim, "skipped"},
	{"unknown", "?", magenta, "unknown"},
}

func markOf(class string) mark {
	for _, m := range marks {
		if m.class == class {
			return m
		}
	}
	return mark{class, "?", "", class}
}

// markFor is the mark of a member: what it is, or what it would be passed over
// as when its turn comes.
func markFor(m *agent.MemberView) mark {
	if m.Class == "pending" && m.Would != "" {
		return markOf(string(m.Would))
	}
	return markOf(m.Class)
}

// Colours of a terminal, by their SGR parameters.
const (
	red, green, yellow, magenta, cyan, dim, bold = "31", "32", "33", "35", "36", "2", "1"
)

func (s screen) paint(text, colour string) string {
	if !s.color || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// cell is one tenant; its width is counted without colours.
type cell struct {
	text  string
	width int
}

// cellName is the longest name of a cell.
const cellName = 18

func (s screen) cell(m *agent.MemberView, named bool) cell {
	look := markFor(m)
	text := look.glyph
	if named {
		text += " " + cut(m.Tenant, cellName)
		if m.Class == "moving" && m.Phase != "" {
			text += " " + string(m.Phase)
		}
	}
	return cell{s.paint(text, look.colour), utf8.RuneCountInString(text)}
}

// wrap lays cells side by side in lines of so many columns (0: one line), with
// the gap between them.
func wrap(cells []cell, columns int, gap string) (lines []string) {
	var b strings.Builder
	used := 0
	for _, c := range cells {
		need := c.width
		if used > 0 {
			need += len(gap)
		}
		if columns > 0 && used > 0 && used+need > columns {
			lines = append(lines, b.String())
			b.Reset()
			used, need = 0, c.width
		}
		if used > 0 {
			b.WriteString(gap)
		}
		b.WriteString(c.text)
		used += need
	}
	if used > 0 {
		lines = append(lines, b.String())
	}
	return lines
}
