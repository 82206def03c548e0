package main

import (
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
