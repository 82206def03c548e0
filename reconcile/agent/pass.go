package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// Outcome is what a pass came to.
type Outcome struct {
	Commit  string        `json:"commit"`
	Actions int           `json:"actions"` // carried out
	Took    time.Duration `json:"took"`
	// Blocked are the tenants that wait for a person: heldBack, or with an
	// open question.
	Blocked []reconcile.Report `json:"blocked,omitempty"`
	// Waiting are tenants not where the plan wants them for another reason.
	Waiting []reconcile.Report `json:"waiting,omitempty"`
	// Pending is how many tenants beside those wait for their turn in a rollout.
	Pending int `json:"pending,omitempty"`
	// Rollouts are those that are not closed.
	Rollouts []reconcile.Rollout `json:"rollouts,omitempty"`
	// Due is what happens later by itself, soonest first.
	Due []Due `json:"due,omitempty"`
}

// Due is something that happens later by itself.
type Due struct {
	Tenant string    `json:"tenant"`
	At     time.Time `json:"at"`
	What   string    `json:"what"`
}

// outageLimit is how long a pass waits for something down that is nobody's
// fault, or for a degraded tenant to be well, before it returns.
const outageLimit = time.Minute

// degradedLimit is how long a pass waits for a degraded tenant that nothing is
// due for: long enough for a few answers of its probes.
const degradedLimit = 10 * time.Second

// Pass looks and acts until every tenant the rollout permits is past its bake
// and drained, or blocked. Beside Run it follows what Run does. The first Pass
// of an agent looks at everything; a later one relies on hints and due times
// and costs nothing if neither the plan nor the host moved: call Refresh before
// it to look at everything again.
func (a *Agent) Pass(ctx context.Context) (Outcome, error) {
	begin, before := a.clock.Now(), a.actions()
	err := a.loop(ctx, a.settledOrWhen)
	if err == errLooping {
		err = a.follow(ctx)
	}
	out := a.outcome()
	out.Took, out.Actions = a.clock.Now().Sub(begin), a.actions()-before
	if err != nil {
		return out, fmt.Errorf("pass: %w", err)
	}
	return out, nil
}

// follow waits until the running loop has nothing more to do.
func (a *Agent) follow(ctx context.Context) error {
	a.Nudge()
	for {
		a.mu.Lock()
		changed := a.changed
		a.mu.Unlock()
		if a.settled() {
			return nil
		}
		t := a.clock.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-changed:
		case <-t.C():
		}
		t.Stop()
	}
}

func (a *Agent) actions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acted
}

// settled says that a pass has nothing to wait for.
func (a *Agent) settled() bool {
	done, _ := a.settledOrWhen()
	return done
}

// settledOrWhen is settled, or else when that has to be asked again though
// nothing happens; zero: something happens first.
func (a *Agent) settledOrWhen() (done bool, when time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	// What cannot be pruned now, because a runtime cannot be seen, is left to a
	// later pass.
	_, _, prunes := a.engine.Prunes()
	if a.looking || a.pruning || prunes || !now.Before(a.fullDue) || !a.engine.Idle() || a.engine.rollout.runs.Moves() {
		return false, time.Time{}
	}
	// Of what ran before us a rollout may wait to know that it is well.
	if until := a.engine.begun.Add(outageLimit); now.Before(until) && a.engine.waitsForProbes() {
		return false, until
	}
	done = true
	for m := range a.engine.open {
		until, gives := m.patience()
		if gives && !now.Before(until) {
			continue
		}
		done = false
		if gives && (when.IsZero() || until.Before(when)) {
			when = until
		}
	}
	return done, when
}

// waitsForProbes says that a rollout waits until tenants are known to be well
// whose probes have not been judged yet.
func (e *Engine) waitsForProbes() bool {
	waits := slices.ContainsFunc(e.rollout.runs.Open(), func(r reconcile.Rollout) bool {
		return r.Gate.For == reconcile.GateFloor || r.Gate.For == reconcile.GateUnknown
	})
	if !waits {
		return false
	}
	for _, m := range e.rollout.batched {
		if m.report.Unseen != "" && m.report.State != reconcile.Unknown {
			return true
		}
	}
	return false
}

// patience returns until when a pass waits for a tenant that waits for something
// that is down, or is not well; gives is false where it waits to the end.
func (m *member) patience() (until time.Time, gives bool) {
	r := m.report
	unwell, since := r.State == reconcile.Degraded, r.Since
	if repairs(r) {
		unwell, since = true, r.UnwellSince
		if since.IsZero() {
			since = r.Proving
		}
	}
	if unwell && m.started.After(since) {
		since = m.started // the repair may have begun long after it was needed
	}
	if unwell && r.Question != nil && m.wake.IsZero() {
		return since, true // nothing happens but by a person's answer
	}
	outage := r.Problem != nil && r.Problem.Class == observed.Environment
	if !outage && unwell && (m.wake.IsZero() || m.wake.Sub(since) > outageLimit) {
		return since.Add(degradedLimit), true // only its own recovery could change it
	}
	return since.Add(outageLimit), outage || unwell || r.State == reconcile.Unknown
}

func (a *Agent) outcome() Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.engine
	var out Outcome
	if a.plan != nil {
		out.Commit = a.plan.Commit
	}
	out.Rollouts = e.rollout.runs.Open()
	for m := range e.blocked {
		out.Blocked = append(out.Blocked, *m.report)
	}
	for m := range e.open {
		out.Waiting = append(out.Waiting, *m.report)
	}
	for i := range out.Rollouts {
		for _, p := range e.rollout.runs.Foresee(out.Rollouts[i].ID) {
			m := e.members[p.Tenant]
			if p.Class == reconcile.ClassPending && p.Would == reconcile.ClassPending && !e.blocked[m] && !e.open[m] {
				out.Pending++
			}
		}
	}
	for _, m := range e.wakes {
		out.Due = append(out.Due, Due{Tenant: m.name, At: m.wake, What: m.report.Next})
	}
	byName := func(x, y reconcile.Report) int { return cmp.Compare(x.Tenant, y.Tenant) }
	slices.SortFunc(out.Blocked, byName)
	slices.SortFunc(out.Waiting, byName)
	slices.SortFunc(out.Due, func(x, y Due) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Tenant, y.Tenant)) })
	return out
}

// tell hands out what a turn that is now durable has to say.
func (a *Agent) tell(t turn) {
	for _, name := range a.engine.specs.retired {
		var keep []string
		if m := a.engine.members[name]; m != nil {
			keep = m.report.Specs
		}
		if err := a.inputs.retire(name, keep); err != nil {
			a.log.Warn("inputs not retired", "tenant", name, "err", err)
		}
	}
	a.engine.specs.retired = nil
	for _, ev := range t.Tx.Events {
		a.metrics.events.WithLabelValues(ev.Kind).Inc()
		a.log.Info("event", "kind", ev.Kind, "tenant", ev.Tenant, "text", ev.Text)
		if a.cfg.Events != nil {
			a.cfg.Events(ev)
		}
		for l := range a.ears {
			l.hear(Line{Event: &ev})
		}
	}
	if len(t.Reports) > 0 {
		close(a.changed)
		a.changed = make(chan struct{})
	}
}

// ear is one subscriber. It never holds the agent up: what it does not take in
// time it misses.
type ear struct{ ch chan Line }

func (l *ear) hear(line Line) {
	select {
	case l.ch <- line:
	default:
	}
}

// listen returns what happens from now on, until ctx ends.
func (a *Agent) listen(ctx context.Context) <-chan Line {
	l := &ear{ch: make(chan Line, 256)}
	a.mu.Lock()
	a.ears[l] = true
	a.mu.Unlock()
	context.AfterFunc(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.ears, l)
		close(l.ch)
	})
	return l.ch
}

// Subscribe returns the events from now on, until ctx ends. A subscriber that
// falls behind by more than 256 misses some; the log has them all.
func (a *Agent) Subscribe(ctx context.Context) <-chan reconcile.Event {
	out := make(chan reconcile.Event, 256)
	lines := a.listen(ctx)
	go func() {
		defer close(out)
		for l := range lines {
			if l.Event == nil {
				continue
			}
			select {
			case out <- *l.Event:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// moves hands out the progress of an action.
func (a *Agent) moves(p Progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.show(p)
}

// show does the same where the caller holds mu.
func (a *Agent) show(p Progress) {
	if a.cfg.Progress != nil {
		a.cfg.Progress(p)
	}
	for l := range a.ears {
		l.hear(Line{Progress: &p})
	}
}

// Waits stands for the verb in the progress of a tenant of which nothing is
// being done: Target says what a pass waits for, and a Result that it is over.
const Waits reconcile.Verb = "waits"

// tellWaits says what a pass waits for, of the tenants that stepped. The caller
// holds mu.
func (a *Agent) tellWaits(t turn) {
	for _, m := range t.stepped {
		what := ""
		if a.engine.open[m] && !m.busy() {
			what = waitsFor(m.report)
		}
		if m.busy() {
			m.waits = "" // the progress of its actions takes the place
			continue
		}
		if what == m.waits {
			continue
		}
		m.waits = what
		p := Progress{Tenant: m.name, Verb: Waits, Target: what}
		if what == "" {
			p.Result = &reconcile.Result{Verb: Waits}
		}
		a.show(p)
	}
}

func waitsFor(r *reconcile.Report) string {
	text := r.Why
	if r.Next != "" {
		text += "; " + r.Next
	}
	return text
}

// Events returns what is logged, oldest first.
func (a *Agent) Events(q journal.Query) ([]journal.Logged, error) { return a.store.Events(q) }
