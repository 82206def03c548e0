package schema

import (
	"strings"
	"unicode/utf8"

	"github.com/gitops-fleet/reconcile/plans"
)

// part is the text of one document and where it stands. It is what a loaded
// document keeps of its source: enough to find the place of any field again
// without holding a tree for it.
type part struct {
	file string
	text string
	line int // lines of the file before text
}

func (p part) pos(line, column int) plans.Pos {
	return plans.Pos{File: p.file, Line: p.line + line, Column: column}
}

// split cuts a file at its document markers. A line that starts with --- or ...
// is one wherever it stands, in a block of text too, so that cutting by lines
// agrees with YAML, and a mistake in one document does not hide the others.
func split(name, text string) []part {
	var parts []part
	start, startLine, line := 0, 0, 0
	cut := func(end, endLine int) {
		if end > start {
			parts = append(parts, part{file: name, text: text[start:end], line: startLine})
		}
		start, startLine = end, endLine
	}
	for at := 0; at < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		switch marker(text[at:end]) {
		case '-':
			cut(at, line)
		case '.':
			cut(end, line+1)
		}
		at = end
		line++
	}
	cut(len(text), line)
	return parts
}

// marker returns '-' or '.' for a line that starts or ends a document, else 0.
func marker(line string) byte {
	if len(line) < 3 || (line[:3] != "---" && line[:3] != "...") {
		return 0
	}
	if len(line) > 3 && !strings.ContainsRune(" \t\r\n", rune(line[3])) {
		return 0
	}
	return line[0]
}

// blank says that the part holds nothing but comments and markers.
func (p part) blank() bool {
	for line := range strings.Lines(p.text) {
		if marker(line) != 0 {
			line = line[3:]
		}
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}

// unreadable finds the first character that YAML readers count as the end of a
// line and people and editors do not, or that is no text at all.
func unreadable(name, text string) (plans.Problem, bool) {
	line, column := 1, 1
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		var what string
		switch {
		case r == utf8.RuneError && size == 1:
			what = "the text is not UTF-8 here"
		case r == '\r' && !strings.HasPrefix(text[i:], "\r\n"):
			what = "a carriage return stands alone here, which ends a line for YAML and not for people"
		case r == '\u0085' || r == '\u2028' || r == '\u2029':
			what = "an invisible line separator stands here, which ends a line for YAML and not for people"
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r == '\ufeff' && i > 0:
			what = "a control character stands here"
		}
		if what != "" {
			return plans.Problem{Pos: plans.Pos{File: name, Line: line, Column: column}, Text: what,
				Hint: "remove it, and save the file as UTF-8"}, true
		}
		i += size
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return plans.Problem{}, false
}
