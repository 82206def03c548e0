package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// metaHeard and a question's id: the answer that was taken. It is kept as long as
// the plan, or somebody on this host, gives one.
const metaHeard = "heard/"

// heard is an answer that was taken.
type heard struct {
	At time.Time `json:"at"`
	// Answer is empty where only the time was written down.
	Answer string `json:"answer,omitempty"`
	// Tenant asked; empty: a rollout did.
	Tenant string `json:"tenant,omitempty"`
	// Ignored are other answers to the same question, told of once.
	Ignored []string `json:"ignored,omitempty"`
}

// differs says that an answer is not the one that was taken.
func (h *heard) differs(answer string) bool { return h.Answer != "" && answer != h.Answer }

// hear notes in tx that the answer to a question was taken, and tells of it the
// first time. A question that goes on being asked may be answered anew.
func (e *Engine) hear(question, tenant string, now time.Time, tx *journal.Tx) error {
	before := e.heard[question]
	if before != nil && !before.differs(e.answers[question]) {
		return nil
	}
	d, local := e.givenBy(question)
	e.heard[question] = &heard{At: now, Answer: d.Answer, Tenant: tenant}
	e.doubts[question] = true // somebody else may have said something else
	text := fmt.Sprintf("decision %s answers question %s with %s", d.Name, question, d.Answer)
	if local {
		text = fmt.Sprintf("question %s is answered with %s, on this host", question, d.Answer)
		l := e.local[question]
		l.Heard = true
		e.local[question] = l
		if err := tx.Put(journal.Meta, metaLocal+question, l); err != nil {
			return err
		}
	}
	if before != nil {
		text += ", instead of " + before.Answer
	}
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	tx.Events = append(tx.Events, reconcile.Event{Time: now, Kind: DecisionApplied, Tenant: tenant, Text: text,
		Fields: fields("question", question, "answer", d.Answer, "decision", d.Name)})
	return tx.Put(journal.Meta, metaHeard+question, e.heard[question])
}

// unhear forgets the answers that nobody gives any more: deleting a decision's
// file changes nothing else.
func (e *Engine) unhear() {
	for question := range e.heard {
		if _, given := e.answers[question]; !given {
			delete(e.heard, question)
			e.pending.Delete(journal.Meta, metaHeard+question)
		}
	}
}

// loadHeard reads which answers were taken.
func (e *Engine) loadHeard(store journal.Store) error {
	return store.Each(journal.Meta, func(key string, v []byte) error {
		question, ok := strings.CutPrefix(key, metaHeard)
		if !ok {
			return nil
		}
		h := &heard{}
		if json.Unmarshal(v, &h.At) != nil { // the time alone, as it once was
			if err := json.Unmarshal(v, h); err != nil {
				return fmt.Errorf("answer taken to question %s: %w", question, err)
			}
		}
		e.heard[question] = h
		return nil
	})
}

// doubt looks for decisions of the plan that say something else than what was
// taken. Who asked is looked at again: it may be asking still.
func (e *Engine) doubt() {
	for _, d := range e.plan.Decisions {
		h := e.heard[d.Question]
		if h == nil || !h.differs(d.Answer) || slices.Contains(h.Ignored, d.Answer) {
			continue
		}
		e.doubts[d.Question] = true
		e.urgent = true
		e.Touch(h.Tenant)
	}
}

// ignore tells, once each, of the decisions that whoever asked has no use for any
// more: the question was answered otherwise.
func (e *Engine) ignore(now time.Time, tx *journal.Tx) error {
	for _, question := range sortedKeys(e.doubts, cmp.Compare[string]) {
		h := e.heard[question]
		if h != nil && h.Tenant != "" {
			if m := e.members[h.Tenant]; m != nil && (m.busy() || m.seen < m.news || e.stale[m] || e.ready[m]) {
				continue // once it has stepped on the answer
			}
		}
		delete(e.doubts, question)
		if h == nil || e.plan == nil {
			continue
		}
		told := len(h.Ignored)
		for _, d := range e.plan.Decisions {
			if d.Question != question || !h.differs(d.Answer) || slices.Contains(h.Ignored, d.Answer) {
				continue
			}
			h.Ignored = append(h.Ignored, d.Answer)
			tx.Events = append(tx.Events, reconcile.Event{Time: now, Kind: DecisionIgnored, Tenant: h.Tenant, Text: answered(&d, h),
				Fields: fields("question", question, "answer", d.Answer, "decision", d.Name, "taken", h.Answer)})
		}
		if len(h.Ignored) > told {
			if err := tx.Put(journal.Meta, metaHeard+question, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// answered says that a decision comes too late.
func answered(d *plans.Decision, h *heard) string {
	return fmt.Sprintf("decision %s answers question %s with %s, which was answered with %s at %s: it changes nothing",
		d.Name, d.Question, d.Answer, h.Answer, h.At.UTC().Format(time.DateTime+" MST"))
}

// notices says which decisions of the plan are of no effect here, and why. That
// is no error: the question may be another node's, or may not be asked any more.
func (e *Engine) notices() []string {
	if e.plan == nil || !e.started || len(e.plan.Decisions) == 0 {
		return nil
	}
	asked := e.asked()
	var list []string
	for _, d := range e.plan.Decisions {
		q, h := asked[d.Question], e.heard[d.Question]
		switch {
		case h != nil && h.differs(d.Answer):
			list = append(list, answered(&d, h))
		case h != nil:
		case q == nil:
			list = append(list, fmt.Sprintf("decision %s answers question %s, which is not asked on this node, or not any more", d.Name, d.Question))
		case q.Answers[d.Answer] == "":
			list = append(list, fmt.Sprintf("decision %s answers question %s with %q, which is not one of: %s",
				d.Name, d.Question, d.Answer, strings.Join(sortedKeys(q.Answers, cmp.Compare[string]), ", ")))
		}
	}
	slices.Sort(list)
	return list
}
