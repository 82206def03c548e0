package reconcile

import (
	"fmt"
	"strings"
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

// approved says that a batch may begin, as far as a person has to be asked. The
// canary stage is not asked about: merging the commit approves it.
func (d *decision) approved(number int) bool {
	a := d.run
	if d.rules.Approval != plans.PerBatch || number == CanaryBatch || a.Approved == number {
		if a.Ask != nil {
			a.Ask, a.dirty = nil, true // the policy asks no more
		}
		return true
	}
	if a.Ask != nil && a.asked && d.answers[a.Ask.ID] == "" {
		d.waits(GateQuestion, a.Ask.Text, "waits for the answer to "+a.Ask.ID, time.Time{})
		return false
	}
	a.asked = true
	switch d.asks(d.batchQuestion(number)) {
	case Proceed:
		a.Approved, a.dirty = number, true
		return true
	case AbortRollout:
		d.close(RolloutAborted, "a person did not let "+BatchName(number)+" begin")
	}
	return false
}

// batchQuestion asks whether a batch may begin. Its id holds the attempt, the
// batch and the trips before it: no other answer ever fits it.
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
	moved := a.Summary.String()
	return &Question{ID: fmt.Sprintf("%s.batch%d-%s", a.ID, number, digest(8, a.ID, a.Number, number, a.Trips)),
		Text: "rollout " + a.ID + " of " + d.subject() + " asks before " + BatchName(number) + ": " + d.names(places) +
			"; so far " + moved,
		Answers: map[string]string{
			Proceed:      "let " + plural(len(places), "tenant", "tenants") + " of " + BatchName(number) + " move",
			AbortRollout: fmt.Sprintf("leave what was moved, and withhold the target from the remaining %d", len(a.members)-a.next),
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

// healthy is how many of the tenants that change together are well; one on its
// way counts as well until it comes to rest.
func (l *lane) healthy() int { return l.serving - l.ailing }

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

// belowFloor says that fewer tenants are healthy than the policy wants, "" if
// there are enough.
func (d *decision) belowFloor() string {
	if d.healthy() >= min(d.floor(), d.serving) {
		return ""
	}
	return d.floorText()
}

// ailingText names those that are not well, the first few of many.
func (d *decision) ailingText() string {
	const few = 4
	var list []string
	n := 0
	for _, s := range d.order {
		if s.ails {
			if n++; n <= few {
				list = append(list, s.want.Name+" ("+s.report.Unwell+")")
			}
		}
	}
	if n > few {
		list = append(list, itoa(n-few)+" more")
	}
	if n == 0 {
		return "all are well again by now"
	}
	return "not well: " + strings.Join(list, "; ")
}

func (d *decision) floorText() string {
	return fmt.Sprintf("%d of %d tenants are healthy (minHealthy %s)", d.healthy(), d.serving, d.run.Rules.MinHealthy)
}

// spares says that a member may be started without the risk that too few are
// healthy: whoever is on the way may come to harm.
func (d *decision) spares(m *RolloutMember) bool {
	a, s := d.run, d.seat(m)
	floor := d.floor()
	if floor == 0 || !s.serves || s.ails {
		return true // it cannot make fewer of them
	}
	if d.healthy()-a.atRisk-1 >= floor {
		return true
	}
	if a.unfinished > 0 {
		d.waitsForMotion(m.Tenant + " is next, when " + d.floorText() + " lets one more be risked")
		return false
	}
	d.waits(GateFloor, d.floorText()+", so none of them is risked", "goes on when more are healthy, or the policy says less", time.Time{})
	return false
}
