package reconcile

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// The answers to a breaker that tripped.
const (
	ContinueAnyway = "continue_anyway"
	RollbackMoved  = "rollback_completed_batches"
	AbortRollout   = "abort"
	RetryFailed    = "retry"
)

// breaks trips the breaker if there is cause to.
func (d *decision) breaks() bool {
	a := d.run
	if why := d.belowFloor(); why != "" {
		d.trip(why, true)
		return true
	}
	if why := d.cause(a.Open && len(a.queue) == 0 && a.unfinished == 0); why != "" {
		d.trip(why, false)
		return true
	}
	return false
}

// cause is what there is to trip for: too many failures in a row at any time;
// after a whole canary stage a single one, for the canaries are there to stop the
// rest; after a whole batch too large a share of them. "": nothing.
func (d *decision) cause(whole bool) string {
	a := d.run
	rules := &a.Rules
	switch n := a.streaks.longest(); {
	case n >= rules.Failures():
		return fmt.Sprintf("%s in a row (maxConsecutiveFailures %d)", plural(n, "failure", "failures"), rules.Failures())
	case whole && a.canaries > 0:
		return plural(a.canaries, "failure", "failures") + " in the canary stage"
	case whole && rules.MaxFailureRatio > 0 && a.failed > 0 && float64(a.failed) >= rules.MaxFailureRatio*float64(a.tried):
		return fmt.Sprintf("%d of %d failed (maxFailureRatio %g)", a.failed, a.tried, rules.MaxFailureRatio)
	}
	return ""
}

// trip stops the rollout: nothing new is started, what is in motion ends. floor:
// it is for too few healthy tenants.
func (d *decision) trip(why string, floor bool) {
	a := d.run
	a.Trips++
	a.Trip = &Trip{Why: why, Since: d.now, Commit: d.all.commit, Floor: floor}
	a.Phase, a.Why, a.Since, a.dirty = RolloutWaiting, why, d.now, true
	d.whole = true
	var back []int
	for _, m := range a.members[:a.next] {
		if m.Class == ClassMoving && !m.Begun {
			a.class(m, ClassPending, "", d.now)
			delete(a.unseen, m.Tenant)
			back = append(back, m.Place)
		}
	}
	a.enqueue(back...)
	d.tellTrip(why, floor)
}

// tripped asks what to do once nothing is in motion, and does what is answered.
func (d *decision) tripped() bool {
	a := d.run
	if a.Trip.Lifted && !a.Trip.Floor && d.cause(true) == "" {
		d.goesOn(RetryFailed, "a person's word on the tenants that failed") // and on no others
		return true
	}
	if a.unfinished > 0 {
		d.waitsForMotion("a person is asked when nothing is in motion any more")
		return d.judgeUnwell()
	}
	if d.mute > 0 {
		d.waitsForWord() // what can be answered is not known
		return false
	}
	if a.Rules.OnTrip == plans.Rollback && !a.asked && !(a.Trip.Floor && a.Summary.Upgraded == 0) {
		moved, stay := d.movedOnes(a)
		if len(moved) == 0 || len(stay) < len(moved) && (a.Trip.Question == nil || d.told(moved)) {
			d.decided(RollbackMoved, "the policy says onTrip: rollback")
			return true
		}
	}
	q := a.Trip.Question
	if !a.asked || q == nil {
		moved, _ := d.movedOnes(a)
		a.asked = d.told(moved) // else it may be another when all have spoken
		now := d.question()
		if q != nil && q.ID != now.ID {
			a.Trip.Turned++
			now = d.question()
		}
		if q == nil || q.ID != now.ID {
			a.Trip.Question, a.dirty, q = now, true, now
			d.event(RolloutQuestion, "", q.Text, "question", q.ID, "answers", words(q.Answers))
		} else if a.asked && (now.Text != q.Text || !maps.Equal(now.Answers, q.Answers)) {
			now.Since = q.Since // who can go back, say, is another by now
			a.Trip.Question, a.dirty, q = now, true, now
		}
	}
	answer := d.answers[q.ID]
	if _, ok := q.Answers[answer]; !ok {
		d.waits(GateQuestion, a.Trip.Why, "waits for the answer to "+q.ID, time.Time{})
		return false
	}
	d.all.delta.Taken = append(d.all.delta.Taken, q.ID)
	d.decided(answer, "the answer to "+q.ID)
	return true
}

// question is what a tripped breaker asks. Its id holds what failed, the commit
// that was in force and which trip of which rollout this is: no other answer
// ever fits it.
func (d *decision) question() *Question {
	a := d.run
	failed := a.failures()
	about := []any{a.ID, a.Number, a.Trip.Commit, a.Trips, failed}
	if a.Trip.Turned > 0 {
		about = append(about, a.Trip.Turned)
	}
	id := fmt.Sprintf("%s.trip%d-%s", a.ID, a.Trips, digest(8, about...))
	moved, stay := d.movedOnes(a)
	rest := d.rest()
	var said []string
	for _, name := range failed[:min(len(failed), 4)] {
		m := a.byName[name]
		said = append(said, name+" ("+m.Why+"; "+m.restText()+")")
	}
	if more := len(failed) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("%d more", more))
	}
	if len(failed) == 0 && !a.Trip.Floor {
		said = append(said, "those that failed are well again by themselves")
	}
	text, goOn, again := "rollout "+a.ID+" of "+d.subject()+" is stopped: "+a.Trip.Why, "", "go on"
	if a.Trip.Floor {
		said = append(said, d.ailingText())
		goOn, again = ", one at a time while so few are healthy", "go on if enough are healthy by now"
	}
	q := &Question{ID: id, Since: d.now, Text: text + ": " + strings.Join(said, "; "),
		Answers: map[string]string{
			ContinueAnyway: fmt.Sprintf("leave the %d failed as they are and %s", len(failed), rest.moveText(goOn)),
			AbortRollout:   fmt.Sprintf("leave the %d that were moved, and %s", len(moved), rest.withholdText()),
			RetryFailed:    fmt.Sprintf("try the %d failed again, then %s", len(failed), again),
		}}
	if len(stay) > 0 {
		q.Text += "; " + d.stayText(stay)
	}
	switch n := len(moved) - len(stay); {
	case len(stay) == 0:
		q.Answers[RollbackMoved] = fmt.Sprintf("take the %d that were moved back to what they came from, and %s", n, rest.withholdText())
	case n > 0:
		q.Answers[RollbackMoved] = fmt.Sprintf("take %d of the %d that were moved back to what they came from, leave %s as %s, and %s",
			n, len(moved), namesOf(stay), map[bool]string{true: "it is", false: "they are"}[len(stay) == 1], rest.withholdText())
	}
	return q
}

// restText says what a failed member that came to rest serves.
func (m *RolloutMember) restText() string {
	switch {
	case m.Restored && m.RanNothing():
		return "it ran nothing before, and serves nothing"
	case m.Restored:
		return "what it served before serves again"
	case m.RanNothing():
		return "it ran nothing before, and is not back at that"
	}
	return "it is not back at what it served before"
}

// stayText names those that were moved and have no way back, the first few of
// many, with the reason.
func (d *decision) stayText(stay []*RolloutMember) string {
	const few = 4
	var said []string
	for _, m := range stay[:min(len(stay), few)] {
		said = append(said, m.Tenant+" ("+d.oneWay(m)+")")
	}
	if more := len(stay) - few; more > 0 {
		said = append(said, fmt.Sprintf("%d more", more))
	}
	return "without a way back: " + strings.Join(said, ", ")
}

// namesOf lists tenants, the first few of many.
func namesOf(members []*RolloutMember) string {
	const few = 8
	var names []string
	for _, m := range members[:min(len(members), few)] {
		names = append(names, m.Tenant)
	}
	text := strings.Join(names, ", ")
	if more := len(members) - few; more > 0 {
		text += " and " + itoa(more) + " more"
	}
	return text
}

// goesOn ends a trip.
func (d *decision) goesOn(answer, by string) {
	a := d.run
	d.event(RolloutDecision, "", a.ID+": "+answer+", "+by, "answer", answer, "trip", itoa(a.Trips))
	if a.Trip != nil && a.Trip.Floor && answer == ContinueAnyway {
		a.Accepted = max(1, d.serving-d.ailing) // the broken were accepted, the unseen are not known yet
	}
	a.Trip, a.Ask, a.Phase, a.Why, a.Since, a.dirty = nil, nil, RolloutRunning, "", d.now, true
	d.whole = true
}

// decided carries out an answer.
func (d *decision) decided(answer, by string) {
	a := d.run
	d.goesOn(answer, by)
	switch answer {
	case ContinueAnyway:
		for _, m := range a.members {
			if m.Class == ClassFailed {
				a.change(m, func(m *RolloutMember) { m.Accepted = true })
			}
		}
	case RetryFailed:
		var again []int
		for _, m := range a.members {
			if m.Class != ClassFailed || m.Accepted {
				continue
			}
			if d.seat(m) == nil {
				a.class(m, ClassSkipped, "the plan wants something else of it since; it moves in a rollout of its own", d.now)
			} else {
				a.class(m, ClassPending, "", d.now)
				a.change(m, func(m *RolloutMember) { m.Retry, m.Begun, m.Restored, m.Log = true, false, false, "" })
				again = append(again, m.Place)
			}
		}
		a.enqueue(again...)
		d.reopensBatch()
	case AbortRollout:
		d.close(RolloutAborted, by)
	case RollbackMoved:
		d.rollBack(by)
	}
}
