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

// metaLocal and a question's id: a LocalDecision. The last keepLocal are kept.
const (
	metaLocal = "local/"
	keepLocal = 100
)

// LocalDecision is an answer given on this host, and not in git. It is written
// down before anything is done about it, and where the plan answers the same
// question the plan's word counts.
type LocalDecision struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
	Reason   string `json:"reason,omitempty"`
	// By is who gave it, as far as the host knows.
	By string    `json:"by,omitempty"`
	At time.Time `json:"at"` // set by the agent
	// Rollout or Tenants are who it is about.
	Rollout string   `json:"rollout,omitempty"`
	Tenants []string `json:"tenants,omitempty"`
	// Heard says that it was carried out.
	Heard bool `json:"heard,omitempty"`
}

// Answer answers an open question on this host's word. It refuses a question
// that is not asked (the error names those that are), an answer that is not
// allowed, and a host that takes orders from git alone. When it returns nil the
// answer is written down; the next turn carries it out.
func (a *Agent) Answer(d LocalDecision) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.engine.asked()
	q := asked[d.Question]
	switch {
	case !a.cfg.AllowLocal:
		return notAllowed()
	case q == nil && len(asked) == 0:
		return refused("question "+d.Question+" is not asked, and no other is", "reconcile questions lists what waits for a person")
	case q == nil:
		return refused("question "+d.Question+" is not asked; open are "+strings.Join(sortedKeys(asked, cmp.Compare[string]), ", "),
			"reconcile questions says what each is about")
	case q.Answers[d.Answer] == "":
		return refused(fmt.Sprintf("question %s cannot be answered with %q", d.Question, d.Answer),
			"answer with one of: "+strings.Join(sortedKeys(q.Answers, cmp.Compare[string]), ", "))
	}
	return a.decide(d)
}

// RollbackRollout takes a rollout back on this host's word: every tenant it
// moved goes back to what it came from, without network or waiting, and what it
// brought is withheld from all its members until the plan changes. It works on a
// rollout under way and on the last one that was closed over its tenants.
func (a *Agent) RollbackRollout(id, reason, by string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.engine.rollout.runs.Get(id)
	switch why := a.engine.rollout.runs.CannotGoBack(id); {
	case !a.cfg.AllowLocal:
		return notAllowed()
	case !ok:
		return noRollout(id)
	case why != "":
		return refused("rollout "+id+" cannot be taken back: "+why, "reconcile rollout show "+id+" says where its tenants are")
	}
	return a.decide(LocalDecision{Question: r.BackID(), Answer: reconcile.RollbackMoved, Reason: reason, By: by})
}

// Retry is a person's word on this host: what was withheld from the tenant may
// be tried again, and what waits for its next try is tried now.
// When it returns nil the word is written down.
func (a *Agent) Retry(tenant string) error { return a.command(tenant, wordRetry) }

// command tells a tenant a person's order.
func (a *Agent) command(tenant string, word reconcile.Local) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.engine.members[tenant]
	switch {
	case !a.cfg.AllowLocal:
		return notAllowed()
	case m == nil:
		return refused(fmt.Sprintf("no tenant %q", tenant), "reconcile status lists the tenants")
	}
	return a.order(m, func(w *words) { w.Order = word }, reconcile.Event{Time: a.now(), Kind: DecisionLocal, Tenant: tenant,
		Text: fmt.Sprintf("%s is told on this host: %s", tenant, word), Fields: fields("answer", string(word))})
}

func notAllowed() error {
	return refused("this host takes orders from git alone", "commit the answer to the plan repository; or set allowLocal: true in this host's configuration")
}

// decide writes a local decision down and puts it in force. The caller holds mu.
func (a *Agent) decide(d LocalDecision) error {
	e := a.engine
	d.At, d.Heard = a.now(), false
	d.Rollout, d.Tenants = e.askedBy(d.Question)
	var tx journal.Tx
	if err := tx.Put(journal.Meta, metaLocal+d.Question, d); err != nil {
		return err
	}
	dropped := e.oldLocal(keepLocal - 1)
	for _, question := range dropped {
		tx.Delete(journal.Meta, metaLocal+question)
	}
	if err := a.write(tx); err != nil {
		return err
	}
	for _, question := range dropped {
		delete(e.local, question)
	}
	e.local[d.Question] = d
	text := fmt.Sprintf("question %s is answered on this host with %s", d.Question, d.Answer)
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	e.note(reconcile.Event{Time: d.At, Kind: DecisionLocal, Text: text,
		Fields: fields("question", d.Question, "answer", d.Answer, "by", d.By, "rollout", d.Rollout)})
	e.answered()
	e.adopted(d.At)
	a.Nudge()
	return nil
}

func fields(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// asked are the questions that are open, by id.
func (e *Engine) asked() map[string]*reconcile.Question {
	asked := map[string]*reconcile.Question{}
	for _, m := range e.members {
		if q := m.report.Question; q != nil {
			asked[q.ID] = q
		}
	}
	for _, r := range e.rollout.runs.Open() {
		if q := r.Question(); q != nil {
			asked[q.ID] = q
		}
	}
	return asked
}

// askedBy says who asks a question, or is taken back by its answer.
func (e *Engine) askedBy(question string) (rollout string, tenants []string) {
	for _, r := range e.rollout.runs.List() {
		if q := r.Question(); q != nil && q.ID == question || r.BackID() == question {
			return r.ID, nil
		}
	}
	for _, name := range sortedKeys(e.members, cmp.Compare[string]) {
		if q := e.members[name].report.Question; q != nil && q.ID == question {
			tenants = append(tenants, name)
		}
	}
	return "", tenants
}

// oldLocal are the questions of all local decisions but the newest.
func (e *Engine) oldLocal(keep int) (questions []string) {
	if len(e.local) <= keep {
		return nil
	}
	list := make([]LocalDecision, 0, len(e.local))
	for _, d := range e.local {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b LocalDecision) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Question, b.Question)) })
	for _, d := range list[keep:] {
		questions = append(questions, d.Question)
	}
	return questions
}

// answered brings the answers in force up to date; whoever asks steps again.
func (e *Engine) answered() {
	e.answers = e.inForce()
	for _, m := range e.members {
		if m.report.Question != nil {
			e.touch(m)
		}
	}
	e.rollout.runs.Answered()
}

// inForce are the answers of the plan and, where it has none, those of this host.
func (e *Engine) inForce() map[string]string {
	answers := map[string]string{}
	for question, d := range e.local {
		answers[question] = d.Answer
	}
	if e.plan != nil {
		for _, d := range e.plan.Decisions {
			answers[d.Question] = d.Answer
		}
	}
	return answers
}

// loadLocal reads the answers given on this host.
func (e *Engine) loadLocal(store journal.Store) error {
	return store.Each(journal.Meta, func(key string, v []byte) error {
		question, ok := strings.CutPrefix(key, metaLocal)
		if !ok {
			return nil
		}
		var d LocalDecision
		if err := json.Unmarshal(v, &d); err != nil {
			return fmt.Errorf("answer to question %s: %w", question, err)
		}
		e.local[question] = d
		e.answers[question] = d.Answer
		return nil
	})
}

// locals are the answers given on this host, newest first.
func (e *Engine) locals() []LocalDecision {
	var list []LocalDecision
	for _, d := range e.local {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b LocalDecision) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Question, b.Question)) })
	return list
}

// givenBy finds who answered a question: the plan, or somebody on this host.
func (e *Engine) givenBy(question string) (d plans.Decision, local bool) {
	if e.plan != nil {
		for _, d := range e.plan.Decisions {
			if d.Question == question && d.Answer == e.answers[question] {
				return d, false
			}
		}
	}
	l, local := e.local[question]
	return plans.Decision{Question: question, Answer: e.answers[question], Reason: l.Reason}, local
}
