package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Trouble is the last problem met and when the next try is due.
type Trouble struct {
	Action  string           `json:"action"` // its id
	Problem observed.Problem `json:"problem"`
	Tries   int              `json:"tries"`
	Since   time.Time        `json:"since"`
	Next    time.Time        `json:"next"`
}

// How problems are tried again. A minute of tries is what an engine needs to
// come back after a restart; registries and networks get more.
const (
	maxTries        = 8 // of a transient problem or a conflict, then the attempt fails
	transientPause  = time.Second
	transientLimit  = 30 * time.Second
	outagePause     = 5 * time.Second
	outageLimit     = 5 * time.Minute
	refusedPause    = time.Minute
	refusedLimit    = 10 * time.Minute
	unknownDeadline = 10 * time.Minute // then a question is asked
)

// pause returns how long to wait before the given try.
func pause(c observed.Class, tries int) time.Duration {
	first, limit := transientPause, transientLimit
	switch c {
	case observed.Environment:
		first, limit = outagePause, outageLimit
	case observed.Refused:
		first, limit = refusedPause, refusedLimit
	case observed.Conflict:
		if tries <= 1 {
			return 0 // something moved: the new look decides
		}
	}
	d := first
	for range min(tries-1, 16) {
		d *= 2
	}
	return min(d, limit)
}

// again is the outage after one more attempt that it undid. Every one makes
// requests wait, so the pauses are those of what is refused.
func (t *Trouble) again(p observed.Problem, now time.Time) *Trouble {
	next := Trouble{Problem: p, Tries: 1, Since: now}
	if t != nil {
		next.Tries, next.Since = t.Tries+1, t.Since
	}
	next.Next = now.Add(pause(observed.Refused, next.Tries))
	return &next
}

// sortTrouble puts a problem where it counts, as it was not in older journals.
func (m *machine) sortTrouble() {
	if t := m.rec.Trouble; t != nil && repairs(t.Action) {
		m.rec.Trouble, m.rec.RepairTrouble = nil, t
	}
}

// heed takes in what became of the last actions.
func (m *machine) heed() {
	prefix := m.prefix()
	for _, r := range m.in.Results {
		switch r.Verb {
		case Destroy, Retain, Release, Tune:
			m.heedData(r)
			continue
		case Measure:
			m.heedMeasure(r)
			continue
		}
		if !strings.HasPrefix(r.ID, prefix) {
			continue // of an attempt that ended meanwhile
		}
		if r.Problem == nil {
			if m.done == nil {
				m.done = map[string]Result{}
			}
			m.done[r.ID] = r
			if t := m.rec.troubleOf(r.ID); *t != nil && (*t).Action == r.ID {
				*t = nil
			}
			continue
		}
		at := m.rec.troubleOf(r.ID)
		if *at == nil {
			*at = &Trouble{Since: m.now}
		}
		t := *at
		t.Action, t.Problem = r.ID, *cloneProblem(r.Problem)
		t.Tries++
		t.Next = m.now.Add(pause(t.Problem.Class, t.Tries))
		if t.Problem.Class == observed.Environment {
			// What is begun again from nothing, such as a copy, takes as long again.
			t.Next = m.now.Add(max(pause(t.Problem.Class, t.Tries), min(r.Took, longestPause)))
		}
	}
}

// overcome forgets problems that nothing is left to be done about: the pause is over and
// what met it is not ordered again. What was done just before we died tells us nothing:
// its result is lost. What a row of an attempt met counts until the row is proved.
func (m *machine) overcome() {
	over := func(t *Trouble) bool { return t != nil && !m.now.Before(t.Next) }
	idle := len(m.actions) == 0 && m.rec.Attempt == nil
	repaired := m.blind() == nil && !slices.ContainsFunc(m.actions, func(a Action) bool { return a.Step == Repair })
	if over(m.rec.Trouble) && idle {
		m.rec.Trouble = nil
	}
	if over(m.rec.RepairTrouble) && (idle || repaired) {
		m.rec.RepairTrouble = nil
	}
}

// longestPause bounds how long is waited for having taken long.
const longestPause = 30 * time.Minute

// done and not seen is tried this often before it counts as a problem: a look
// may come before the effect shows.
const unseenTries = 2

// again slows down orders that were carried out and changed nothing that can
// be seen: a driver that lies must not make us spin.
func (m *machine) again() {
	r := &m.rec
	if len(m.actions) == 0 {
		if !m.waiting() && !m.pausing(Repair) {
			r.Ordered, r.Again = "", 0
		}
		return
	}
	ids := make([]any, len(m.actions))
	for i, a := range m.actions {
		ids[i] = a.ID
	}
	name := digest(8, ids...)
	trouble := r.troubleOf(m.actions[0].ID)
	switch {
	case name != r.Ordered:
		r.Ordered, r.Again = name, 0
		return
	case len(m.in.Results) == 0 || *trouble != nil && (*trouble).Problem.Text != unseenText:
		return // not carried out, or not done
	}
	if r.Again++; r.Again <= unseenTries {
		return
	}
	last := m.actions[0]
	tries := r.Again - unseenTries
	*trouble = &Trouble{Action: last.ID, Tries: tries, Since: m.now, Next: m.now.Add(pause(observed.Transient, tries)),
		Problem: observed.Problem{Op: string(last.Verb), Ref: m.in.Name, Class: observed.Transient, Text: unseenText,
			Hint: "compare what the host shows with what was ordered"}}
	m.actions, m.wake = nil, (*trouble).Next
}

const unseenText = "it was done and cannot be seen"

// troubleOf is the problem that counts for an action, by its id. What serves is
// repaired whatever the way to another version waits for, and the other way round:
// what cannot be repaired is best left for another version.
func (r *Record) troubleOf(id string) **Trouble {
	if repairs(id) {
		return &r.RepairTrouble
	}
	return &r.Trouble
}

// waiting says that the pause of a problem is not over, of any but a repair.
func (m *machine) waiting() bool { return m.pausing("") }

// pausing says the same of the problem that counts for a step.
func (m *machine) pausing(step Phase) bool {
	t := m.troubleIn(step)
	return t != nil && m.now.Before(t.Next)
}

func (m *machine) troubleIn(step Phase) *Trouble {
	if step == Repair {
		return m.rec.RepairTrouble
	}
	return m.rec.Trouble
}

// holdsUp says that the pause of a problem holds up orders of a step.
func (m *machine) holdsUp(step Phase) bool { return m.pausing(step) && !m.pressed() }

// helpless says that what serves cannot be repaired, for all that can be told: it is
// refused, or was tried often.
func (m *machine) helpless() bool {
	t := m.rec.RepairTrouble
	return t != nil && t.hopeless() != ""
}

// ofCopy says that it was met while data were copied, or a place was made for
// them.
func (t *Trouble) ofCopy() bool {
	parts := strings.SplitN(t.Action, "/", 5) // tenant, attempt, step, verb, subject
	return len(parts) == 5 && (parts[3] == string(Snapshot) || parts[3] == string(Clone) || parts[3] == string(Create))
}

// repairs says that an action, by its id, is one of a repair.
func repairs(id string) bool {
	parts := strings.SplitN(id, "/", 4) // tenant, attempt, step
	return len(parts) == 4 && parts[2] == string(Repair)
}

// outage returns the trouble that is nobody's fault, nil if there is none.
func (m *machine) outage() *Trouble {
	for _, t := range m.troubles() {
		if t.Problem.Class == observed.Environment {
			return t
		}
	}
	return nil
}

// troubles are the problems that count for what is under way: for an attempt those of
// a repair once it is its own version that serves.
func (m *machine) troubles() []*Trouble {
	list := []*Trouble{m.rec.Trouble}
	if a := m.rec.Attempt; a == nil || a.Swapped || a.Back {
		list = append(list, m.rec.RepairTrouble)
	}
	return slices.DeleteFunc(list, func(t *Trouble) bool { return t == nil })
}

// waitsOut reports the pause after an outage that undid an attempt, with what a
// person should know of it, and says whether there is one.
func (m *machine) waitsOut(word string) bool {
	o := m.rec.Outage
	if o == nil || !m.now.Before(o.Next) {
		return false
	}
	m.say(Unknown, "", sentence(o.Problem)+"; "+word, "tries again at "+stamp(o.Next))
	m.report.Problem = cloneProblem(&o.Problem)
	m.wakeAt(o.Next)
	return true
}

// hopeless returns the problem at hand that ends an attempt, and why; "" if none does.
func (m *machine) hopeless() (t *Trouble, why string) {
	for _, t := range m.troubles() {
		if why := t.hopeless(); why != "" {
			return t, why
		}
	}
	return nil, ""
}

// hopeless says why there is no hope in trying again, "" if there is.
func (t *Trouble) hopeless() string {
	switch {
	case t.Problem.Class == observed.Refused:
		return sentence(t.Problem)
	case t.Problem.Class != observed.Environment && t.Tries >= maxTries:
		return sentence(t.Problem) + ", after " + plural(t.Tries, "try", "tries")
	}
	return ""
}

func sentence(p observed.Problem) string { return p.Error() }
