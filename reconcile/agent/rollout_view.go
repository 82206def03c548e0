package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// RolloutView is one rollout as people see it: what the journal has of it, who
// is where, what it waits for, and how long it may take. It is what
// Agent.Rollout, Client.Rollout and GET /api/rollouts/ID return; the list has
// the same without Batches.
type RolloutView struct {
	reconcile.Rollout
	// Breaker says what stops it, and what then.
	Breaker string `json:"breaker"`
	// Question is what it asks; nil while it asks nothing.
	Question *reconcile.Question `json:"question,omitempty"`
	// BackQuestion is the id that `rollback --rollout` answers; "" where the
	// rollout cannot be taken back, and NoWayBack says why.
	BackQuestion string `json:"backQuestion,omitempty"`
	NoWayBack    string `json:"noWayBack,omitempty"`
	// Done and Left are members that came to rest, and the others.
	Done int `json:"done"`
	Left int `json:"left"`
	// ETA is when it ends if nothing fails and nobody is asked; zero: it is
	// closed, or nothing is known of how long a tenant takes.
	ETA time.Time `json:"eta,omitzero"`
	// Batches are in order, those to come as they would be by the policy now.
	Batches []BatchView `json:"batches,omitempty"`
	// Local are the answers given to it on this host.
	Local []LocalDecision `json:"local,omitempty"`
}

// BatchView is one batch, or the canary stage.
type BatchView struct {
	Name   string `json:"name"`   // canary, batch 1, …
	Number int    `json:"number"` // reconcile.CanaryBatch, or from 1
	// State is passed, open (under way), later, or never (it was closed before).
	State   string       `json:"state"`
	Members []MemberView `json:"members"`
}

// MemberView is one tenant of a rollout.
type MemberView struct {
	reconcile.RolloutMember
	// Class is that of the member; pending instead of "".
	Class string `json:"class"`
	// Would is the class it would get when it is its turn, if it would not be
	// started, with Because.
	Would   reconcile.Class `json:"would,omitempty"`
	Because string          `json:"because,omitempty"`
	// State, Phase and Doing are what the tenant itself says now.
	State reconcile.State `json:"state,omitempty"`
	Phase reconcile.Phase `json:"phase,omitempty"`
	Doing string          `json:"doing,omitempty"`
}

// Rollouts returns the rollouts that are remembered, newest first, without their
// members: those under way, and the last few that were closed.
func (a *Agent) Rollouts() []RolloutView {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []RolloutView{}
	for _, r := range a.engine.rollout.runs.List() {
		out = append(out, a.rolloutView(r))
	}
	return out
}

// Rollout returns one rollout with its members. Where no daemon runs, Look
// comes first.
func (a *Agent) Rollout(id string) (RolloutView, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.engine.rollout.runs.Get(id)
	if !ok {
		return RolloutView{}, noRollout(id)
	}
	v := a.rolloutView(r)
	v.Batches = a.engine.batchesOf(&r)
	return v, nil
}

func noRollout(id string) error {
	return refused("no rollout "+id, "reconcile rollout list shows those that are remembered")
}

func (a *Agent) rolloutView(r reconcile.Rollout) RolloutView {
	runs := a.engine.rollout.runs
	v := RolloutView{Rollout: r, Breaker: breakerText(r), Question: r.Question(), NoWayBack: runs.CannotGoBack(r.ID)}
	if v.NoWayBack == "" {
		v.BackQuestion = r.BackID()
	}
	members := runs.Foresee(r.ID)
	for i := range members {
		if c := members[i].Class; c == reconcile.ClassPending || c == reconcile.ClassMoving {
			v.Left++
		} else {
			v.Done++
		}
	}
	if !r.Phase.Closed() {
		v.ETA = eta(&r, members, a.now())
	}
	for _, d := range a.engine.local {
		if d.Rollout == r.ID {
			v.Local = append(v.Local, d)
		}
	}
	slices.SortFunc(v.Local, func(x, y LocalDecision) int { return x.At.Compare(y.At) })
	return v
}

// batchesOf sorts the members of a rollout into their batches.
func (e *Engine) batchesOf(r *reconcile.Rollout) []BatchView {
	var out []BatchView
	for _, p := range e.rollout.runs.Foresee(r.ID) {
		if n := len(out); n == 0 || out[n-1].Number != p.In {
			b := BatchView{Name: reconcile.BatchName(p.In), Number: p.In, State: "passed"}
			switch {
			case p.In == 0: // closed before it was its turn
				b.Name, b.State = "left out", "never"
			case p.Batch == 0:
				b.State = "later"
			case p.In == r.Batch && r.Open:
				b.State = "open"
			}
			out = append(out, b)
		}
		m := MemberView{RolloutMember: p.RolloutMember, Class: cmp.Or(string(p.Class), "pending"), Would: p.Would, Because: p.Because}
		if own := e.members[p.Tenant]; own != nil && own.report.State != "" {
			m.State, m.Phase, m.Doing = own.report.State, own.report.Phase, own.report.Why
		}
		b := &out[len(out)-1]
		b.Members = append(b.Members, m)
	}
	return out
}

// eta is when the rollout would end: the rest of the batch under way, then for
// each batch to come as many rounds of the time a tenant took so far as its
// parallelism and its breaker make it, its pauses and its bake.
func eta(r *reconcile.Rollout, members []reconcile.PlannedMember, now time.Time) time.Time {
	var took time.Duration
	finished, left, later := 0, 0, map[int]int{}
	for i := range members {
		m := &members[i]
		switch {
		case m.Class == reconcile.ClassUpgraded && m.Took > 0:
			took += m.Took
			finished++
		case m.Class == reconcile.ClassMoving, m.Class == reconcile.ClassPending && m.Batch != 0:
			left++
		case m.Class == reconcile.ClassPending && m.Would == reconcile.ClassPending:
			later[m.In]++
		}
	}
	if finished == 0 {
		return time.Time{}
	}
	took /= time.Duration(finished)
	rules := &r.Rules
	moving := func(n int) time.Duration {
		if n == 0 {
			return 0
		}
		atOnce := rules.Failures() // no more are on the way than could trip the breaker
		if rules.Parallelism > 0 {
			atOnce = min(atOnce, rules.Parallelism)
		}
		rounds := (n + atOnce - 1) / atOnce
		return max(time.Duration(rounds)*took, time.Duration(n-1)*rules.Stagger.Std()+took)
	}
	bake := func(batch int) time.Duration {
		if batch == reconcile.CanaryBatch && rules.Canary != nil {
			return rules.Canary.Bake.Std()
		}
		return rules.Bake.Std()
	}
	end := now.Add(moving(left))
	switch {
	case !r.Open:
	case r.Gate.For == reconcile.GateBake:
		end = r.Gate.Until
	default:
		end = end.Add(bake(r.Batch))
	}
	if r.Gate.For == reconcile.GateWindow && r.Gate.Until.After(end) {
		end = r.Gate.Until
	}
	for _, batch := range sortedKeys(later, cmp.Compare[int]) {
		end = end.Add(moving(later[batch]) + bake(batch))
	}
	return end
}
