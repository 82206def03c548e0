package plans

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Window is a time of the week in which a rollout may start tenants.
type Window struct {
	// Days are the days on which it opens, by their short names; none: every day.
	Days []string `json:"days,omitempty"`
	// From and To are times of day, "22:00". To is on the next day where it is
	// not later than From; "24:00" is the end of the day.
	From string `json:"from"`
	To   string `json:"to"`
}

// Freeze is a row of days, both ends included, on which nothing is started.
type Freeze struct {
	From   string `json:"from"`         // "2026-12-20"
	To     string `json:"to,omitempty"` // "": the same day
	Reason string `json:"reason,omitempty"`
}

// Opening says when a rollout may start tenants.
type Opening struct {
	Open bool
	// Why says why it is closed, or which window is open.
	Why string
	// Until is when that changes; zero: never.
	Until time.Time
}

// At says whether the policy's windows and freeze dates let something be started
// at a time, and when that changes. What is under way is never stopped by them.
func (p *BatchPolicy) At(t time.Time) Opening {
	if f, _ := p.frozen(t); f != nil {
		return Opening{Why: "frozen until the end of " + f.last() + because(f.Reason), Until: p.opens(t)}
	}
	open, end := p.inside(t)
	if !open {
		return Opening{Why: "no window is open" + p.zoneText(), Until: p.opens(t)}
	}
	if end.IsZero() {
		return Opening{Open: true, Until: p.nextFreeze(t)}
	}
	if f := p.nextFreeze(t); !f.IsZero() && f.Before(end) {
		end = f
	}
	return Opening{Open: true, Why: "a window is open until " + p.Zone.Text(end), Until: end}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func (p *BatchPolicy) zoneText() string {
	if p.Zone == nil {
		return ""
	}
	return " in " + p.Zone.Name
}

// never is the year from which on a freeze has no end: "until further notice" is
// commonly written as the last day there is, and the day after it has no place in
// RFC 3339, whose years have four digits.
const never = 9999

// opens is the first time from t on at which something may be started; zero:
// there is none.
func (p *BatchPolicy) opens(t time.Time) time.Time {
	// Each round leaves a freeze behind or comes to the next window.
	for range 2*len(p.Freeze) + 2 {
		if f, end := p.frozen(t); f != nil {
			if end.Year() >= never {
				return time.Time{}
			}
			t = end
			continue
		}
		if open, _ := p.inside(t); open {
			return t
		}
		next := p.nextWindow(t)
		if next.IsZero() {
			return next
		}
		t = next
	}
	return time.Time{}
}

// inside says whether t is in a window, and until when; without windows it
// always is.
func (p *BatchPolicy) inside(t time.Time) (open bool, end time.Time) {
	if len(p.Windows) == 0 {
		return true, time.Time{}
	}
	p.around(t, func(from, to time.Time) {
		if !t.Before(from) && t.Before(to) && to.After(end) {
			open, end = true, to
		}
	})
	return open, end
}

// nextWindow is the begin of the first window after t.
func (p *BatchPolicy) nextWindow(t time.Time) (next time.Time) {
	p.around(t, func(from, to time.Time) {
		if from.After(t) && to.After(from) && (next.IsZero() || from.Before(next)) {
			next = from
		}
	})
	return next
}

// around calls fn with every window from the day before t to two weeks after:
// one that the clocks leave out this week is there in the next.
func (p *BatchPolicy) around(t time.Time, fn func(from, to time.Time)) {
	today := dayOf(p.Zone.Clock(t))
	for d := today - 1; d <= today+15; d++ {
		for i := range p.Windows {
			w := &p.Windows[i]
			if len(w.Days) > 0 && !slices.Contains(w.Days, d.weekday()) {
				continue
			}
			from, to, err := w.minutes()
			if err != nil {
				continue // refused when the plan was read
			}
			end := d
			if to <= from {
				end++
			}
			fn(p.Zone.instant(d, from), p.Zone.instant(end, to))
		}
	}
}

// frozen returns the freeze t is in, and when it ends.
func (p *BatchPolicy) frozen(t time.Time) (*Freeze, time.Time) {
	for i := range p.Freeze {
		begin, end, err := p.Freeze[i].span(p.Zone)
		if err == nil && !t.Before(begin) && t.Before(end) {
			return &p.Freeze[i], end
		}
	}
	return nil, time.Time{}
}

// nextFreeze is when the next freeze begins; zero: there is none.
func (p *BatchPolicy) nextFreeze(t time.Time) (next time.Time) {
	for i := range p.Freeze {
		begin, _, err := p.Freeze[i].span(p.Zone)
		if err == nil && begin.After(t) && (next.IsZero() || begin.Before(next)) {
			next = begin
		}
	}
	return next
}

func (f *Freeze) last() string {
	if f.To == "" {
		return f.From
	}
	return f.To
}

// span is when a freeze begins and ends in a zone.
func (f *Freeze) span(z *Zone) (begin, end time.Time, err error) {
	from, err := parseDay(f.From)
	if err != nil {
		return begin, end, err
	}
	last, err := parseDay(f.last())
	if err != nil {
		return begin, end, err
	}
	if last < from {
		return begin, end, fmt.Errorf("it ends on %s, before it begins on %s", f.To, f.From)
	}
	return z.instant(from, 0), z.instant(last+1, 0), nil
}

// minutes are the times of day of a window, in minutes from midnight.
func (w *Window) minutes() (from, to int, err error) {
	if from, err = minuteOf(w.From); err == nil {
		to, err = minuteOf(w.To)
	}
	switch {
	case err != nil:
		return 0, 0, err
	case from == 24*60:
		return 0, 0, fmt.Errorf("%q is the end of a day: begin at \"00:00\"", w.From)
	case from == to:
		return 0, 0, fmt.Errorf("it never opens: it begins and ends at %s", w.From)
	}
	return from, to, nil
}

func minuteOf(s string) (int, error) {
	hour, minute, ok := strings.Cut(s, ":")
	h, errHour := strconv.Atoi(hour)
	m, errMinute := strconv.Atoi(minute)
	if !ok || errHour != nil || errMinute != nil || h < 0 || m < 0 || m > 59 || h*60+m > 24*60 {
		return 0, fmt.Errorf("%q is not a time of day", s)
	}
	return h*60 + m, nil
}
