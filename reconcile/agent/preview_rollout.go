package agent

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// PlannedRollout is one rollout as it would go if every action succeeded.
type PlannedRollout struct {
	ID       string `json:"id"`
	Policy   string `json:"policy"`
	Template string `json:"template,omitempty"`
	From     string `json:"from"`
	To       string `json:"to"`
	// Goes says that it is under way already.
	Goes    bool `json:"goes,omitempty"`
	Members int  `json:"members"`
	// Moves is how many of them it would move, now or later: those that are passed
	// over and those it has moved already are not counted.
	Moves int `json:"moves"`
	// Batches are in order; a member that is passed over is in none. One that is
	// moved in part is there twice, the second with Later.
	Batches []PlannedBatch `json:"batches"`
	// Passed are the members that would not be moved, and why.
	Passed []PassedOver `json:"passed,omitempty"`
	// Windows and Approval say when it may start something, and whether a person
	// is asked before each batch; "": at any time, and nobody is. The dry-run goes
	// on as if the answer were to proceed.
	Windows  string `json:"windows,omitempty"`
	Approval string `json:"approval,omitempty"`
	// Pace says how many move at a time where that is fewer than the batches and
	// parallelism say; "" elsewhere.
	Pace string `json:"pace,omitempty"`
	// Note says what is unusual about how it was formed.
	Note string `json:"note,omitempty"`
	// Breaker says what would stop it, and what then.
	Breaker string `json:"breaker"`
	// Ends is the phase it would come to: completed, superseded by the plan
	// that is tried, or waiting, which Waits says for what.
	Ends  reconcile.RolloutPhase `json:"ends"`
	Waits string                 `json:"waits,omitempty"`
	// Takes is how long it would take by probes, bakes, drains, pauses and
	// windows.
	Takes time.Duration `json:"takes"`
	// Question is what it would wait for, nil if it would come to its end.
	Question *reconcile.Question `json:"question,omitempty"`
	// Answers are what would come of each answer to Question, played to the end.
	Answers []PlayedAnswer `json:"answers,omitempty"`
}

// PlayedAnswer is what would come of an answer, if every action after it
// succeeded.
type PlayedAnswer struct {
	Answer  string                 `json:"answer"`
	Ends    reconcile.RolloutPhase `json:"ends"`
	Summary reconcile.Summary      `json:"summary"`
	Takes   time.Duration          `json:"takes"`
	// Asks is set where another question would follow.
	Asks string `json:"asks,omitempty"`
}

// PlannedBatch is one batch in its order.
type PlannedBatch struct {
	Name    string   `json:"name"` // canary, batch 1, …
	Tenants []string `json:"tenants"`
	// Later says that they wait for something the dry-run does not see the end of,
	// which Waits or Question of the rollout names: so they would be batched by the
	// policy as it is now.
	Later bool `json:"later,omitempty"`
}

// Later says that some of its members would move after what was played.
func (p *PlannedRollout) Later() bool {
	return slices.ContainsFunc(p.Batches, func(b PlannedBatch) bool { return b.Later })
}

// PassedOver is a member that would not be moved.
type PassedOver struct {
	Tenant string          `json:"tenant"`
	Class  reconcile.Class `json:"class"`
	Why    string          `json:"why"`
}

// rollouts are those the rehearsal played, oldest first.
func (w *rehearsal) rollouts() []PlannedRollout {
	var out []PlannedRollout
	runs := w.engine.rollout.runs
	list := runs.List()
	slices.Reverse(list)
	for _, r := range list {
		if w.past[r.ID] {
			continue
		}
		out = append(out, w.rollout(r, runs.Foresee(r.ID)))
	}
	return out
}

func (w *rehearsal) rollout(r reconcile.Rollout, members []reconcile.PlannedMember) PlannedRollout {
	p := PlannedRollout{ID: r.ID, Policy: r.Policy, Template: r.Template, From: r.From, To: r.To, Members: r.Size,
		Goes: r.Planned.Before(w.begin), Batches: []PlannedBatch{}, Ends: r.Phase, Breaker: breakerText(r), Note: r.Note, Question: r.Question()}
	policy := w.engine.rollout.runs.Policy(r.ID)
	p.Windows = windowsText(&policy)
	if policy.Approval == plans.PerBatch {
		p.Approval = "a person is asked before each batch"
	}
	if !r.Phase.Closed() {
		p.Waits = waitsText(&r.Gate)
	}
	p.Takes = w.lasts(r)
	for i := range members {
		p.take(&members[i], w.begin)
	}
	p.Pace = paceText(&policy, p.Batches)
	return p
}

// take puts a member into its batch, or to those that are passed over.
func (p *PlannedRollout) take(m *reconcile.PlannedMember, begin time.Time) {
	class, why := m.Class, m.Why
	if class == reconcile.ClassPending {
		class, why = m.Would, m.Because // ClassPending: it would be started
	}
	moves := class == reconcile.ClassPending || class == reconcile.ClassMoving || class == reconcile.ClassUpgraded
	if m.In == 0 || !moves {
		p.Passed = append(p.Passed, PassedOver{m.Tenant, class, why})
		return
	}
	if class != reconcile.ClassUpgraded || !m.Since.Before(begin) {
		p.Moves++
	}
	name, later := reconcile.BatchName(m.In), class == reconcile.ClassPending
	at := slices.IndexFunc(p.Batches, func(b PlannedBatch) bool { return b.Name == name && b.Later == later })
	if at < 0 {
		at = len(p.Batches)
		p.Batches = append(p.Batches, PlannedBatch{Name: name, Later: later})
	}
	p.Batches[at].Tenants = append(p.Batches[at].Tenants, m.Tenant)
}

// waitsText says what a rollout would come to wait for, and what then.
func waitsText(g *reconcile.Gate) string {
	if g.Next == "" {
		return g.Why
	}
	return g.Why + "; " + g.Next
}

// lasts is how long of the rehearsal a rollout took.
func (w *rehearsal) lasts(r reconcile.Rollout) time.Duration {
	begin, end := r.Planned, r.Ended
	if begin.Before(w.begin) {
		begin = w.begin
	}
	if end.IsZero() {
		end = w.now
	}
	return end.Sub(begin)
}
