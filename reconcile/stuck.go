package reconcile

import (
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Stuck is a dataset that could not be destroyed. It holds up nothing else: it
// stays where it is, with its reason, and is tried again with growing pauses.
type Stuck struct {
	Problem observed.Problem `json:"problem"`
	Tries   int              `json:"tries"`
	Since   time.Time        `json:"since"`
	Next    time.Time        `json:"next"`
}

// destroy orders a dataset away, unless that was refused and its pause is on: it
// then returns false.
func (m *machine) destroy(step Phase, d *observed.Dataset, why string) bool {
	if s, stuck := m.rec.Stuck[d.ID]; stuck && m.now.Before(s.Next) {
		m.wakeAt(s.Next)
		return false
	}
	m.act(step, d.ID, Action{Verb: Destroy, Dataset: d.ID, Why: why})
	return true
}

// destroyed says of which dataset an action destroyed, by its id.
func destroyed(id string) (dataset string, ok bool) {
	_, dataset, ok = strings.Cut(id, "/"+string(Destroy)+"/")
	return dataset, ok
}

// heedDestroy takes in what became of a destroy: a problem is noted with the
// dataset and never as the tenant's, whose care must go on.
func (m *machine) heedDestroy(r Result) {
	id, ok := destroyed(r.ID)
	if !ok {
		return
	}
	if r.Problem == nil {
		delete(m.rec.Stuck, id)
		return
	}
	s, known := m.rec.Stuck[id]
	if !known {
		s.Since = m.now
		m.event(TenantStuck, id+" of "+m.in.Name+" cannot be destroyed: "+r.Problem.Text, "dataset", id, "hint", r.Problem.Hint)
	}
	s.Problem = *cloneProblem(r.Problem)
	s.Tries++
	s.Next = m.now.Add(max(pause(r.Problem.Class, s.Tries), time.Second))
	if m.rec.Stuck == nil {
		m.rec.Stuck = map[string]Stuck{}
	}
	m.rec.Stuck[id] = s
}

// unstick forgets the trouble with datasets that are gone.
func (m *machine) unstick() {
	if m.seen.Storage.Blind() {
		return
	}
	for _, id := range sortedKeys(m.rec.Stuck) {
		if m.dataset(id) == nil {
			delete(m.rec.Stuck, id)
		}
	}
}
