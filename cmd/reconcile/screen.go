package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is what is drawn on.
type screen struct {
	columns, rows int // of the terminal; 0: none
	color         bool
}

// screen is what stdout is drawn on. Colours are for terminals whose user has
// not refused them (NO_COLOR).
func (p *program) screen() screen {
	s := screen{columns: width(p.stdout)}
	if s.columns == 0 {
		return s
	}
	s.color = p.env("NO_COLOR") == "" && p.env("TERM") != "dumb"
	if f, ok := p.stdout.(*os.File); ok {
		if _, rows, err := term.GetSize(int(f.Fd())); err == nil {
			s.rows = rows
		}
	}
	return s
}

// width is the columns of the terminal w writes to, 0 if it is none.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < 40 {
		return 80
	}
	return columns
}

// cut shortens a line to the columns of a terminal; 0 leaves it whole.
func cut(line string, columns int) string {
	if columns == 0 || utf8.RuneCountInString(line) <= columns {
		return line
	}
	return string([]rune(line)[:columns-1]) + "…"
}

// table is rows of cells; columns are as wide as their widest cell.
type table [][]string

// write aligns the rows, cut to the columns of a terminal (0: none), so that one
// thing stays one line.
func (t table) write(w io.Writer, columns int) {
	var wide []int
	for _, row := range t {
		for i, cell := range row {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", wide[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		fmt.Fprintln(w, cut(strings.TrimRight(b.String(), " "), columns))
	}
}

// plainColumns is how wide a list of names is written where there is no terminal.
const plainColumns = 100

// spread writes lists of names into the third cells of rows, over as many lines
// as they take. columns is the width of the terminal, 0: there is none.
func (t table) spread(names map[int][]string, columns int) table {
	used := 0
	for i := range 2 {
		wide := 0
		for _, row := range t {
			wide = max(wide, utf8.RuneCountInString(row[i]))
		}
		used += wide + 2
	}
	room := max(20, cmp.Or(columns, plainColumns)-used)
	var out table
	for i, row := range t {
		lines := paragraph(strings.Join(names[i], ", "), room)
		if len(lines) == 0 {
			out = append(out, row)
			continue
		}
		for n, line := range lines {
			if n == 0 {
				out = append(out, []string{row[0], row[1], line})
			} else {
				out = append(out, []string{"", "", line})
			}
		}
	}
	return out
}

// patient is how long a terminal stays silent at most.
const patient = time.Second

// patience says on a terminal what is waited for, where it takes longer than a
// moment. The wait ends with the function returned.
func (p *program) patience(what string) (done func()) {
	if width(p.stderr) == 0 {
		return func() {}
	}
	t := time.AfterFunc(patient, func() { fmt.Fprintln(p.stderr, what+" …") })
	return func() { t.Stop() }
}
