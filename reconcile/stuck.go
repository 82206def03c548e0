package reconcile

import (
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Stuck is a dataset that could not be destroyed, held, released or tuned. That holds up
// nothing else: it stays as it is, with its reason, and is tried again with
// growing pauses.
type Stuck struct {
	Verb    Verb             `json:"verb"` // what could not be done
	Problem observed.Problem `json:"problem"`
	Tries   int              `json:"tries"`
	Since   time.Time        `json:"since"`
	Next    time.Time        `json:"next"`
	Want    string           `json:"want,omitempty"` // of Tune: the Tuning that was refused
}

// destroy orders a dataset away, unless that was refused and its pause is on: it
// then returns false.
func (m *machine) destroy(step Phase, d *observed.Dataset, why string) bool {
	if m.stuck(d) {
		return false
	}
	m.act(step, d.ID, Action{Verb: Destroy, Dataset: d.ID, Why: why})
	return true
}

// stuck says that what was refused for a dataset is not to be tried again yet.
func (m *machine) stuck(d *observed.Dataset) bool {
	s, stuck := m.rec.Stuck[d.ID]
	if !stuck || !m.now.Before(s.Next) {
		return false
	}
	m.wakeAt(s.Next)
	return true
}

// Text says what could not be done to a dataset, and why.
func (s Stuck) Text() string {
	return stuckText[s.Verb] + ": " + s.Problem.Text
}

var stuckText = map[Verb]string{Destroy: "cannot be destroyed", Retain: "cannot be held", Release: "cannot be released",
	Tune: "cannot be given what the plan says"}

// heedData takes in what became of a destroy or a hold: a problem is noted with
// the dataset and never as the tenant's, whose care must go on.
func (m *machine) heedData(r Result) {
	_, id, ok := strings.Cut(r.ID, "/"+string(r.Verb)+"/")
	if !ok {
		return
	}
	if r.Problem == nil {
		delete(m.rec.Stuck, id)
		if d := m.dataset(id); d != nil && r.Verb == Tune {
			v, _ := m.tuning(d)
			m.event(TenantTuned, id+" of "+m.in.Name+" has what the plan says: "+tuningText(v), "dataset", id, "volume", d.Volume)
		}
		return
	}
	s, known := m.rec.Stuck[id]
	if !known {
		s.Since = m.now
		m.event(TenantStuck, id+" of "+m.in.Name+" "+Stuck{Verb: r.Verb, Problem: *r.Problem}.Text(), "dataset", id, "hint", r.Problem.Hint)
	}
	if d := m.dataset(id); d != nil && r.Verb == Tune {
		v, _ := m.tuning(d)
		s.Want = v.Tuning()
	}
	s.Verb, s.Problem = r.Verb, *cloneProblem(r.Problem)
	s.Tries++
	s.Next = m.now.Add(max(pause(r.Problem.Class, s.Tries), time.Second))
	if m.rec.Stuck == nil {
		m.rec.Stuck = map[string]Stuck{}
	}
	m.rec.Stuck[id] = s
}

// unstick forgets the trouble with datasets that are gone, and with what the plan
// no longer asks of them.
func (m *machine) unstick() {
	if m.seen.Storage.Blind() {
		return
	}
	for _, id := range sortedKeys(m.rec.Stuck) {
		d := m.dataset(id)
		if m.isDoomed(id) {
			continue
		} else if d == nil {
			delete(m.rec.Stuck, id)
		} else if _, tuned := m.tuning(d); tuned && m.rec.Stuck[id].Verb == Tune {
			delete(m.rec.Stuck, id)
		}
	}
}
