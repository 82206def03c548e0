package agent

import (
	"context"
	"sync"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// crew carries out the work of tenants, so many actions at a time. A tenant
// that waits for a hand is a place in a queue, not a goroutine. Actions that may
// take minutes have their own lane, so that they never keep a switch or the
// release of a hold waiting. Agent.mu guards it.
type crew struct{ short, long lane }

// lane is a queue and the hands that serve it.
type lane struct {
	limit int
	busy  int
	queue []*job // waits only while all hands are busy
}

// job is the actions of one tenant, carried out one after the other; the first
// that fails ends them.
type job struct {
	work
	ctx     context.Context
	cancel  context.CancelCauseFunc
	next    int
	results []reconcile.Result
	checks  []observed.Check
}

// action is the one under way, or that waits for a hand.
func (j *job) action() *reconcile.Action { return &j.actions[j.next] }

// lane is where an action waits for a hand.
func (c *crew) lane(a *reconcile.Action) *lane {
	if long(a) {
		return &c.long
	}
	return &c.short
}

// start hands the actions of a tenant to the crew. The caller holds mu.
func (a *Agent) start(ctx context.Context, w work, hands *sync.WaitGroup) {
	j := &job{work: w}
	j.ctx, j.cancel = context.WithCancelCause(ctx)
	a.running[w.tenant] = j
	a.queue(j, hands)
}

// queue puts a job where its next action is carried out. The caller holds mu.
func (a *Agent) queue(j *job, hands *sync.WaitGroup) {
	l := a.crew.lane(j.action())
	l.queue = append(l.queue, j)
	a.dispatch(l, hands)
}

// dispatch gives waiting jobs to idle hands. The caller holds mu.
func (a *Agent) dispatch(l *lane, hands *sync.WaitGroup) {
	for l.busy < l.limit && len(l.queue) > 0 {
		j := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.busy++
		hands.Go(func() { a.serve(j, l, hands) })
	}
}

// serve carries out the actions of a job that belong to the lane, then frees
// the hand.
func (a *Agent) serve(j *job, l *lane, hands *sync.WaitGroup) {
	for a.carryOut(j, l, hands) {
	}
	a.mu.Lock()
	l.busy--
	a.dispatch(l, hands)
	a.mu.Unlock()
}

// carryOut does the job's next action, and says whether this lane goes on with
// it. A job that was cancelled ends untried.
func (a *Agent) carryOut(j *job, l *lane, hands *sync.WaitGroup) bool {
	failed := j.ctx.Err() != nil
	if !failed {
		action := j.actions[j.next]
		boundaryOfAction(before, &action)
		out := a.exec.do(j.ctx, action)
		boundaryOfAction(after, &action)
		a.metrics.action(action.Verb, out.result)
		a.logAction(action, out.result)
		j.results = append(j.results, out.result)
		j.checks = append(j.checks, out.checks...)
		failed = out.result.Problem != nil || j.ctx.Err() != nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !failed && j.next+1 < len(j.actions) {
		j.next++
		if a.crew.lane(j.action()) == l {
			return true
		}
		a.queue(j, hands)
		return false
	}
	j.cancel(nil)
	delete(a.running, j.tenant)
	a.engine.Done(j.tenant, j.results, j.checks, a.now())
	a.acted += len(j.results)
	a.Nudge()
	return false
}
