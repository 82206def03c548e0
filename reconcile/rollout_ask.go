package reconcile

import (
	"fmt"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Proceed lets the batch that is asked about begin.
const Proceed = "proceed"

// asks puts a question of the rollout and returns the answer in force, "" while
// there is none. The same question is told of once.
func (d *decision) asks(q *Question) string {
	a := d.run
	if a.Ask == nil || a.Ask.ID != q.ID {
		q.Since = d.now
		a.Ask, a.dirty = q, true
		d.event(RolloutQuestion, "", q.Text, "question", q.ID, "answers", words(q.Answers))
	}
	if q.Text != a.Ask.Text {
		q.Since = a.Ask.Since
		a.Ask, a.dirty = q, true
	}
	answer := d.answers[q.ID]
	if _, ok := a.Ask.Answers[answer]; !ok {
		d.waits(GateQuestion, a.Ask.Text, "waits for the answer to "+q.ID, time.Time{})
		return ""
	}
	a.Ask, a.dirty = nil, true
	d.all.delta.Taken = append(d.all.delta.Taken, q.ID)
	d.event(RolloutDecision, "", a.ID+": "+answer+", the answer to "+q.ID, "answer", answer)
	return answer
}

// asksNoMore takes a question back that nobody has to answer any more.
func (d *decision) asksNoMore() {
	if a := d.run; a.Ask != nil {
		a.Ask, a.dirty = nil, true
	}
}

// approved says that a batch may begin, as far as a person has to be asked. The
// canary stage is not asked about: merging the commit approves it.
func (d *decision) approved(number int) bool {
	a := d.run
	if d.rules.Approval != plans.PerBatch || number == CanaryBatch || a.Approved == number {
		d.asksNoMore()
		return true
	}
	if a.Ask != nil && a.asked && d.answers[a.Ask.ID] == "" {
		d.waits(GateQuestion, a.Ask.Text, "waits for the answer to "+a.Ask.ID, time.Time{})
		return false
	}
	a.asked = true
	q := d.batchQuestion(number)
	if q == nil {
		d.asksNoMore()
		return true
	}
	switch d.asks(q) {
	case Proceed:
		a.Approved, a.dirty = number, true
		return true
	case AbortRollout:
		d.close(RolloutAborted, "a person did not let "+BatchName(number)+" begin")
	}
	return false
}

// batchQuestion asks whether a batch may begin; nil where nobody of the rest would
// move. Its id holds the attempt, the batch and the trips before it: no other
// answer ever fits it.
func (d *decision) batchQuestion(number int) *Question {
	a := d.run
	var places []int
	a.fill(number, a.next, &d.rules, func(m *RolloutMember) bool {
		class, _ := d.passes(m)
		if class == ClassPending {
			places = append(places, m.Place)
		}
		return class == ClassPending
	})
	if len(places) == 0 {
		return nil
	}
	moved := a.Summary.String()
	return &Question{ID: fmt.Sprintf("%s.batch%d-%s", a.ID, number, digest(8, a.ID, a.Number, number, a.Trips)),
		Text: "rollout " + a.ID + " of " + d.subject() + " asks before " + BatchName(number) + ": " + d.names(places) +
			"; so far " + moved,
		Answers: map[string]string{
			Proceed:      "let " + plural(len(places), "tenant", "tenants") + " of " + BatchName(number) + " move",
			AbortRollout: "leave what was moved, and " + d.rest().withholdText(),
		}}
}

// opens says that something may be started now, by the windows and freeze dates
// as they are in the plan.
func (d *decision) opens(what string) bool {
	p := &d.rules
	if len(p.Windows) == 0 && len(p.Freeze) == 0 {
		return true
	}
	o := p.At(d.now)
	if o.Open {
		return true
	}
	next := "no window opens any more"
	if !o.Until.IsZero() {
		next = what + " at " + p.Zone.Text(o.Until)
	}
	d.waits(GateWindow, o.Why, next, o.Until)
	return false
}
