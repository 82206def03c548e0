package proposal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/utils/diff"
)

// hunk replaces the lines [from, to) of a text. It was taken from the lines
// [at, at+len(lines)) of the other.
type hunk struct {
	from, to, at int
	lines        []string
}

func (h hunk) same(o hunk) bool {
	return h.from == o.from && h.to == o.to && slices.Equal(h.lines, o.lines)
}

// meets says that two hunks change the same lines, or lines side by side: which
// of them is meant cannot be told.
func (h hunk) meets(o hunk) bool { return h.from <= o.to && o.from <= h.to }

// hunks is what turns one text into another.
func hunks(from, to string) []hunk {
	var out []hunk
	line, at := 0, 0 // in from, and in to
	open := false
	for _, d := range diff.Do(from, to) {
		lines := splitLines(d.Text)
		if d.Type == 0 { // the same in both
			line, at, open = line+len(lines), at+len(lines), false
			continue
		}
		if !open {
			out, open = append(out, hunk{from: line, to: line, at: at}), true
		}
		h := &out[len(out)-1]
		if d.Type < 0 { // only in from
			line += len(lines)
			h.to = line
		} else {
			at += len(lines)
			h.lines = append(h.lines, lines...)
		}
	}
	return out
}

// splitLines keeps the line ends.
func splitLines(text string) []string {
	return slices.Collect(strings.Lines(text))
}

func apply(text string, hs []hunk) string {
	lines := splitLines(text)
	var b strings.Builder
	next := 0
	for _, h := range hs {
		for _, l := range lines[next:h.from] {
			b.WriteString(l)
		}
		for _, l := range h.lines {
			b.WriteString(l)
		}
		next = h.to
	}
	for _, l := range lines[next:] {
		b.WriteString(l)
	}
	return b.String()
}

// conflict is a place that was changed in two ways.
type conflict struct {
	file string
	then string // what the commit that is taken back made of it
	back string // what was there before
	now  string // what is there
}

func (c conflict) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s was changed again in the same place:\n%s", c.file,
		marked("    now     ", c.now)+marked("    then    ", c.then)+marked("    before  ", c.back)), "\n")
}

func marked(mark, text string) string {
	if text == "" {
		return mark + "(nothing)\n"
	}
	var b strings.Builder
	for l := range strings.Lines(text) {
		b.WriteString(mark + strings.TrimRight(l, "\n") + "\n")
	}
	return b.String()
}

// merge makes the changes in what is there now. Both are hunks of one text.
func merge(file, text string, ours, theirs []hunk) (string, error) {
	var all []hunk
	for _, t := range theirs {
		done := false
		for _, o := range ours {
			switch {
			case t.same(o):
				done = true
			case t.meets(o):
				return "", conflictOf(file, text, t, o)
			}
		}
		if !done {
			all = append(all, t)
		}
	}
	all = append(all, ours...)
	slices.SortFunc(all, func(a, b hunk) int { return a.from - b.from })
	return apply(text, all), nil
}

func conflictOf(file, text string, theirs, ours hunk) conflict {
	from, to := min(theirs.from, ours.from), max(theirs.to, ours.to)
	lines := splitLines(text)
	// Each side over the same lines, so that they can be laid side by side.
	side := func(h hunk) string {
		return strings.Join(lines[from:h.from], "") + strings.Join(h.lines, "") + strings.Join(lines[h.to:to], "")
	}
	return conflict{file: file, then: strings.Join(lines[from:to], ""), back: side(theirs), now: side(ours)}
}
