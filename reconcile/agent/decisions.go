package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// metaHeard and a question's id: that the answer of a decision in the plan was
// taken. It is kept as long as the plan has the decision.
const metaHeard = "heard/"

// hear notes in tx that the answer to a question was taken, and tells of it the
// first time.
func (e *Engine) hear(question, tenant string, now time.Time, tx *journal.Tx) error {
	if e.heard[question] {
		return nil
	}
	e.heard[question] = true
	d, local := e.givenBy(question)
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
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	tx.Events = append(tx.Events, reconcile.Event{Time: now, Kind: DecisionApplied, Tenant: tenant, Text: text,
		Fields: fields("question", question, "answer", d.Answer, "decision", d.Name)})
	return tx.Put(journal.Meta, metaHeard+question, now)
}

// unhear forgets the answers that the plan does not give any more: deleting a
// decision's file changes nothing else.
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
	return store.Each(journal.Meta, func(key string, _ []byte) error {
		if question, ok := strings.CutPrefix(key, metaHeard); ok {
			e.heard[question] = true
		}
		return nil
	})
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
		q := asked[d.Question]
		switch {
		case e.heard[d.Question]:
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
