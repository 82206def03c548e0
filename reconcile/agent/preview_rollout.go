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
	// Batches are in order; a member that is passed over is in none.
	Batches []PlannedBatch `json:"batches"`
	// Passed are the members that would not be moved, and why.
	Passed []PassedOver `json:"passed,omitempty"`
	// Windows and Approval say when it may start something, and whether a person
	// is asked before each batch; "": at any time, and nobody is. The dry-run goes
	// on as if the answer were to proceed.
	Windows  string `json:"windows,omitempty"`
	Approval string `json:"approval,omitempty"`
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
		out = append(out, w.rollout(r, runs.Members(r.ID)))
	}
	return out
}

func (w *rehearsal) rollout(r reconcile.Rollout, members []reconcile.RolloutMember) PlannedRollout {
	p := PlannedRollout{ID: r.ID, Policy: r.Policy, Template: r.Template, From: r.From, To: r.To, Members: r.Size,
		Goes: r.Planned.Before(w.begin), Batches: []PlannedBatch{}, Ends: r.Phase, Breaker: breakerText(r), Note: r.Note, Question: r.Question()}
	policy := w.engine.rollout.runs.Policy(r.ID)
	p.Windows = windowsText(&policy)
	if policy.Approval == plans.PerBatch {
		p.Approval = "a person is asked before each batch"
	}
	if !r.Phase.Closed() {
		p.Waits = r.Gate.Why
	}
	p.Takes = w.lasts(r)
	for _, m := range members {
		if m.Batch == 0 || m.Class != reconcile.ClassUpgraded && m.Class != reconcile.ClassMoving && m.Class != reconcile.ClassPending {
			p.Passed = append(p.Passed, PassedOver{m.Tenant, m.Class, m.Why})
			continue
		}
		name := reconcile.BatchName(m.Batch)
		if n := len(p.Batches); n == 0 || p.Batches[n-1].Name != name {
			p.Batches = append(p.Batches, PlannedBatch{Name: name})
		}
		b := &p.Batches[len(p.Batches)-1]
		b.Tenants = append(b.Tenants, m.Tenant)
	}
	return p
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
