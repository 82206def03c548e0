package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// A floor is met by tenants that are known to be well. Of one that cannot be
// seen nothing is known: it holds up whatever would be started, and stops
// nothing. One that was not well when it was seen last is known to be broken.

// healthy is how many of the tenants that change together are known to be well;
// one on its way counts as well until it comes to rest.
func (l *lane) healthy() int { return l.serving - l.ailing - l.dark }

// floor is how many must be healthy at least; 0: there is no floor. Tenants that
// never ran anything can be neither. What a person accepted is low enough to go
// on with one at a time.
func (d *decision) floor() int {
	a := d.run
	if a.Rules.MinHealthy == "" {
		return 0
	}
	n := a.Rules.MinHealthy.Of(d.serving)
	if a.Accepted > 0 {
		n = min(n, a.Accepted-1)
	}
	return n
}

// readsFloor takes the floor of the plan as it is, like its windows: a rollout may
// wait for it in the middle of a batch, and the next border would never come.
func (d *decision) readsFloor() {
	if a := d.run; a != nil && len(d.order) > 0 && a.Rules.MinHealthy != d.rules.MinHealthy {
		a.Rules.MinHealthy, a.dirty = d.rules.MinHealthy, true
	}
}

// belowFloor says that more tenants are known to be broken than the policy has
// room for, "" if there are not, or if not everybody has been looked at: the floor
// may be a share of them.
func (d *decision) belowFloor() string {
	if d.mute > 0 || d.serving-d.ailing >= min(d.floor(), d.serving) {
		return ""
	}
	return d.floorText()
}

// floorText says how many are healthy, how many are not, and of how many that is
// not known.
func (d *decision) floorText() string {
	text := fmt.Sprintf("%d of %d tenants are healthy", d.healthy(), d.serving)
	for _, c := range []struct {
		n    int
		word string
	}{{d.ailing, "broken"}, {d.dark, "unseen"}} {
		if c.n > 0 {
			text += ", " + itoa(c.n) + " " + c.word
		}
	}
	return text + fmt.Sprintf(" (minHealthy %s)", d.run.Rules.MinHealthy)
}

// ailingText names those that are not well, and those of which it is not known:
// the first few of many.
func (d *decision) ailingText() string {
	var ailing, dark names
	for _, s := range d.order {
		switch {
		case s.ails:
			ailing.add(s.want.Name, s.report.Unwell)
		case s.dark:
			dark.add(s.want.Name, s.unseenText())
		}
	}
	switch {
	case ailing.n == 0 && dark.n == 0:
		return "all are well again by now"
	case dark.n == 0:
		return "not well: " + ailing.text()
	case ailing.n == 0:
		return "unseen: " + dark.text()
	}
	return "not well: " + ailing.text() + "; unseen: " + dark.text()
}

// unseenText says why a tenant is not known to be well.
func (s *seat) unseenText() string {
	switch {
	case s.report.Unseen != "":
		return s.report.Unseen
	case s.report.Why != "":
		return s.report.Why
	}
	return "it cannot be seen"
}

// names are the first few of many, each with a reason.
type names struct {
	list []string
	n    int
}

func (l *names) add(name, why string) {
	const few = 4
	if l.n++; l.n <= few {
		l.list = append(l.list, name+" ("+why+")")
	}
}

func (l *names) text() string {
	list := l.list
	if more := l.n - len(list); more > 0 {
		list = append(list[:len(list):len(list)], itoa(more)+" more")
	}
	return strings.Join(list, "; ")
}

// spares says that a member may be started without the risk that too few are
// healthy: whoever is on the way may come to harm.
func (d *decision) spares(m *RolloutMember) bool {
	s := d.seat(m)
	floor := d.floor()
	if d.healthy() < min(floor, d.serving) {
		// Too few are known to be well, and not enough broken to be stopped.
		d.waitsForFloor("goes on once enough of the unseen are seen to be healthy")
		return false
	}
	if floor == 0 || !s.serves || s.ails {
		return true // it cannot make fewer of them
	}
	sure := d.healthy() - d.risked
	if !s.dark && !s.risked {
		sure-- // it counts as sure as it is
	}
	if sure >= floor {
		return true
	}
	if d.run.unfinished > 0 {
		d.waitsForMotion(m.Tenant + " is next, when " + d.floorText() + " lets one more be risked")
		return false
	}
	next := "goes on when more are healthy, or policy " + d.policy + " says less"
	switch {
	case d.serving-1 < floor:
		next = fmt.Sprintf("never goes on as it is: %d must stay healthy while one is risked, and %s; policy %s has to say less",
			floor, plural(d.serving, "tenant serves", "tenants serve"), d.policy)
	case d.dark > 0:
		next = "goes on when more are healthy or seen to be, or policy " + d.policy + " says less"
	}
	d.waitsForFloor(next)
	return false
}

// waitsForFloor says that too few are known to be healthy.
func (d *decision) waitsForFloor(next string) {
	d.waits(GateFloor, d.floorText()+", so none of them is risked", next, time.Time{})
}
