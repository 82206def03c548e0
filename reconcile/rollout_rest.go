package reconcile

import "strings"

// rest counts the members whose turn has not come, by what would become of them
// as things are now: no answer moves who is held or withheld.
type rest struct {
	moves     int // would be moved
	withheld  int // their target is withheld already
	held      int // by a person's word
	back      int // held back for something else
	elsewhere int // the plan wants something else of them
	there     int // run what the plan says
	owes      int // would have their target withheld, were the rollout closed now
}

func (d *decision) rest() (r rest) {
	for _, m := range d.run.members {
		if m.Class != ClassPending {
			continue
		}
		s := d.seat(m)
		if s != nil && !(s.spoke() && (s.report.Failed || s.report.Done)) {
			r.owes++
		}
		switch class, _ := d.passes(m); {
		case class == ClassPending:
			r.moves++
		case class == ClassHeld:
			r.held++
		case class == ClassUpgraded:
			r.there++
		case s == nil:
			r.elsewhere++
		case s.report.Failed:
			r.withheld++
		default:
			r.back++
		}
	}
	return r
}

// passed names those that would not be moved, "" if all would be.
func (r rest) passed() string {
	var parts []string
	for _, c := range []struct {
		n    int
		word string
	}{{r.withheld, "withheld"}, {r.held, "held"}, {r.back, "held back"}, {r.elsewhere, "wanted elsewhere"}, {r.there, "there already"}} {
		if c.n > 0 {
			parts = append(parts, itoa(c.n)+" "+c.word)
		}
	}
	return strings.Join(parts, ", ")
}

// membersText is how many of the rollout it moves.
func (r rest) membersText() string {
	passed := r.passed()
	if passed == "" {
		return plural(r.moves, "tenant", "tenants")
	}
	return itoa(r.moves) + " of " + itoa(r.moves+r.withheld+r.held+r.back+r.elsewhere+r.there) + " tenants (" + passed + ")"
}

// moveText says who is moved when the rollout goes on, how.
func (r rest) moveText(how string) string {
	passed := r.passed()
	switch {
	case passed == "" && r.moves == 0:
		return "end: nobody is left to be moved"
	case passed == "":
		return "move the remaining " + itoa(r.moves) + how
	case r.moves == 0:
		return "end: none of the rest can be moved (" + passed + ")"
	}
	return "move " + itoa(r.moves) + " of the rest" + how + " (" + passed + ")"
}

// withholdText says from whom the target is withheld when the rollout ends.
func (r rest) withholdText() string {
	text := "withhold the target from the remaining " + itoa(r.owes)
	if r.withheld > 0 {
		text += " (from " + itoa(r.withheld) + " it is withheld already)"
	}
	return text
}
