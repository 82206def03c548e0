package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// passView shows a pass as it goes: a line for each thing that happened, and on
// a terminal below them a table of the tenants under way, drawn again as they
// move. With -o json nothing but the result is printed.
type passView struct {
	mu     sync.Mutex // guards all below; events and progress come from many goroutines
	out    io.Writer
	errs   io.Writer
	quiet  bool
	width  int // of the terminal; 0: not one
	drawn  int // lines of the table on the screen
	moving map[string]moving
	closed bool
	begun  time.Time     // or when the last line was printed
	ended  chan struct{} // closed with the view; nil: no terminal
}

// moving is one line of the table.
type moving struct {
	verb   reconcile.Verb
	target string
	since  time.Time
	moved  *drivers.Progress
}

func newPassView(out, errs io.Writer, format string) *passView {
	v := &passView{out: out, errs: errs, quiet: format == "json", moving: map[string]moving{}}
	if v.width = width(out); v.width > 0 && !v.quiet {
		v.begun, v.ended = time.Now(), make(chan struct{})
		go v.tick()
	}
	return v
}

// tick draws the table again as time goes by, so that a terminal is never silent.
func (v *passView) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-v.ended:
			return
		case <-t.C:
			v.mu.Lock()
			if !v.closed {
				v.erase()
				v.draw()
			}
			v.mu.Unlock()
		}
	}
}

// Say prints a line.
func (v *passView) Say(text string) { v.line(v.out, text) }

// Warn prints a line that is no part of the result.
func (v *passView) Warn(text string) { v.line(v.errs, "warning: "+text) }

func (v *passView) line(w io.Writer, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.quiet && w == v.out || v.closed {
		return
	}
	v.erase()
	fmt.Fprintln(w, text)
	v.begun = time.Now()
	v.draw()
}

// Event prints what happened to a tenant.
func (v *passView) Event(e reconcile.Event) {
	v.Say(eventLine(e))
}

// Line shows a line of a pass that the daemon makes.
func (v *passView) Line(l agent.Line) {
	switch {
	case l.Event != nil:
		v.Event(*l.Event)
	case l.Progress != nil:
		v.Progress(*l.Progress)
	}
}

// Progress notes what an action does.
func (v *passView) Progress(p agent.Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.quiet || v.closed {
		return
	}
	if p.Result != nil {
		delete(v.moving, p.Tenant)
	} else {
		m := v.moving[p.Tenant]
		if m.verb != p.Verb || m.target != p.Target {
			m = moving{verb: p.Verb, target: p.Target, since: time.Now()}
		}
		m.moved = p.Moved
		v.moving[p.Tenant] = m
	}
	if v.width > 0 {
		v.erase()
		v.draw()
	}
}

// Close takes the table off the screen; what was printed stays.
func (v *passView) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	if v.ended != nil && !v.closed {
		close(v.ended)
	}
	v.closed = true
}

func (v *passView) erase() {
	if v.drawn > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

func (v *passView) draw() {
	if v.width == 0 {
		return
	}
	for _, name := range sortedNames(v.moving) {
		m := v.moving[name]
		text := fmt.Sprintf("  %-16s %s %s", name, m.verb, shortDigests(m.target))
		if m.moved != nil {
			text += " " + moved(*m.moved)
		}
		v.drawLine(text, m.since)
	}
	if len(v.moving) == 0 && time.Since(v.begun) > patient {
		v.drawLine("  waiting for probes, bakes and drains", v.begun)
	}
}

// drawLine draws one line of the table, with how long it has been so.
func (v *passView) drawLine(text string, since time.Time) {
	fmt.Fprintln(v.out, cut(fmt.Sprintf("%s (%s)", text, time.Since(since).Round(time.Second)), v.width-1))
	v.drawn++
}

// moved says how far a pull or a copy is.
func moved(p drivers.Progress) string {
	if p.Total > 0 {
		return fmt.Sprintf("%s of %s", bytesText(p.Done), bytesText(p.Total))
	}
	return bytesText(p.Done)
}

func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, exp := float64(n)/unit, 0
	for value >= unit && exp < 4 {
		value, exp = value/unit, exp+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[exp])
}
