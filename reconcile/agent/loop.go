package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// pruneLimit bounds the removal of what is of no use any more.
const pruneLimit = 2 * time.Minute

// Why actions are cancelled.
var (
	errNotWanted = errors.New("the plan changed, this is no longer wanted")
	errEnding    = errors.New("the agent is ending")
	errLooping   = errors.New("the agent's loop is already running")
)

// loop runs turns until settled says so after one (or when it is to be asked
// again at the latest), ctx ends, or the journal cannot be written. What is
// under way is cancelled and waited for before it returns.
func (a *Agent) loop(ctx context.Context, settled func() (bool, time.Time)) error {
	if !a.looping.TryLock() {
		return errLooping
	}
	defer a.looping.Unlock()
	a.mu.Lock()
	a.expected = time.Time{}
	a.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	var hands sync.WaitGroup
	defer hands.Wait()
	defer cancel(errEnding)
	hands.Go(func() { a.probeLoop(ctx) })
	for name, rt := range a.runtimes {
		hands.Go(func() {
			watch(ctx, rt, a.clock, a.hint, func(err error) { a.streamBroke(name, err) })
		})
	}
	for {
		if a.cfg.Settle != nil {
			a.cfg.Settle()
		}
		next, err := a.turn(ctx, &hands)
		if err != nil {
			return err
		}
		if settled != nil {
			done, when := settled()
			if done {
				return nil
			}
			if !when.IsZero() && when.Before(next) {
				next = when
			}
		}
		if err := a.sleep(ctx, next); err != nil {
			return err
		}
	}
}

// sleep waits for a nudge, or until the time given (zero: for ever).
func (a *Agent) sleep(ctx context.Context, until time.Time) error {
	var at <-chan time.Time
	if !until.IsZero() {
		t := a.clock.NewTimer(until.Sub(a.now()))
		defer t.Stop()
		at = t.C()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-a.nudge:
	case <-at:
	}
	return nil
}

// turn is one round of the loop: start a look if one is needed, step, write
// down, then act. It returns when the next is due by time alone.
func (a *Agent) turn(ctx context.Context, hands *sync.WaitGroup) (time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if late := a.late(now); late > 0 {
		a.log.Warn("time passed unseen", "gap", late)
		a.probes.reset()
		a.engine.Skip(late)
		a.fullDue = now
	}
	if a.journal.Problem != nil {
		// Nothing is looked at or decided before the journal takes a write again.
		if err := a.writeClock(now); err != nil {
			return time.Time{}, err
		}
	}
	a.engine.Due(now)
	a.startLook(ctx, now, hands)
	t, err := a.engine.Turn(now)
	if err != nil {
		return time.Time{}, fmt.Errorf("step: %w", err)
	}
	if !t.Tx.Empty() {
		boundaryOfTurn(before, &t)
		if err := a.write(t.Tx); err != nil {
			return time.Time{}, err
		}
		boundaryOfTurn(after, &t)
	}
	a.tell(t)
	for _, w := range t.Work {
		a.start(ctx, w, hands)
	}
	a.tellWaits(t)
	a.startPrune(ctx, hands)
	if len(a.engine.ready) > 0 {
		a.Nudge()
	}
	next := a.engine.Next()
	if next.IsZero() || a.fullDue.Before(next) {
		next = a.fullDue
	}
	a.turned, a.expected = now, next
	return next, nil
}

// write commits a transaction. The caller holds mu.
func (a *Agent) write(tx journal.Tx) error {
	begin := a.clock.Now()
	if err := a.store.Commit(tx); err != nil {
		a.journalBroke(err)
		return fmt.Errorf("write journal: %w", err)
	}
	if a.journal.Problem != nil {
		a.log.Info("journal written again", "after", a.now().Sub(a.journal.Since))
	}
	a.journal, a.wrote = JournalState{}, true
	a.metrics.commit(a.clock.Now().Sub(begin))
	return nil
}

// writeClock tries whether the journal can be written.
func (a *Agent) writeClock(now time.Time) error {
	var tx journal.Tx
	if err := tx.Put(journal.Meta, metaClock, now); err != nil {
		return err
	}
	return a.write(tx)
}

// late returns the time since the last turn if this one comes later than expected
// by more than MaxGap: the process was stopped, the machine slept, or its clock was
// set forward. When that began nobody knows, so that none of it counts.
func (a *Agent) late(now time.Time) time.Duration {
	if a.expected.IsZero() || now.Sub(a.expected) <= a.cfg.MaxGap {
		return 0
	}
	return now.Sub(a.turned)
}

// startLook begins a look if one is needed and none is under way: news that
// come in meanwhile share the next one.
func (a *Agent) startLook(ctx context.Context, now time.Time, hands *sync.WaitGroup) {
	if a.looking {
		return
	}
	req, need := a.engine.Stale()
	if !now.Before(a.fullDue) {
		req, need = a.engine.Everything(), true
	}
	if !need {
		return
	}
	if req.names == nil {
		every := a.cfg.LookEvery
		a.fullDue = now.Add(every + time.Duration(a.cfg.Random()*float64(every)/5))
	}
	a.looking = true
	hands.Go(func() {
		begin := a.clock.Now()
		s := a.looker.look(ctx, req)
		a.metrics.look(req.names == nil, a.clock.Now().Sub(begin))
		a.mu.Lock()
		a.looking = false
		a.engine.Saw(s)
		a.yield()
		claims := a.engine.Claims()
		a.mu.Unlock()
		if claims && s.routerErr == nil {
			a.claim(ctx)
		}
		poke(a.kick)
		a.Nudge()
	})
}

// startPrune removes what is of no use any more, once nothing moves.
func (a *Agent) startPrune(ctx context.Context, hands *sync.WaitGroup) {
	keep, tenants, now := a.engine.Prunes()
	if !now || a.pruning || a.looking {
		return
	}
	a.pruning = true
	hands.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, pruneLimit)
		defer cancel()
		for _, name := range sortedKeys(a.runtimes, cmp.Compare[string]) {
			if err := a.runtimes[name].Prune(ctx, keep, tenants); err != nil {
				a.log.Warn("prune failed", "runtime", name, "err", err)
			}
		}
		a.mu.Lock()
		a.pruning = false
		if ctx.Err() == nil {
			a.engine.Pruned()
		}
		a.mu.Unlock()
		a.Nudge()
	})
}

// claim writes our id beside the route table. The next look sees whether it is
// there, and if not it is tried again.
func (a *Agent) claim(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.LookLimit)
	defer cancel()
	id := a.cfg.Owner.Controller
	if err := a.router.Claim(ctx, id); err != nil {
		a.log.Warn("claim failed", "err", err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.engine.controller = id
}

func (a *Agent) logAction(action reconcile.Action, r reconcile.Result) {
	if r.Problem == nil {
		a.log.Info("action done", "tenant", action.Tenant, "action", action.ID, "took", r.Took)
		return
	}
	a.log.Warn("action failed", "tenant", action.Tenant, "action", action.ID, "took", r.Took,
		"class", r.Problem.Class, "problem", r.Problem.Error(), "hint", r.Problem.Hint)
}

// hint says that a runtime saw something of the tenant move.
func (a *Agent) hint(tenant string) {
	a.mu.Lock()
	a.engine.Touch(tenant)
	a.mu.Unlock()
	a.Nudge()
}

// streamBroke asks for a full look: hints were missed.
func (a *Agent) streamBroke(runtime string, err error) {
	a.log.Warn("watch ended", "runtime", runtime, "err", err)
	a.Refresh()
}

// Nudge makes the loop take a turn now. Many nudges are one turn.
func (a *Agent) Nudge() { poke(a.nudge) }

// Refresh makes the loop look at everything now.
func (a *Agent) Refresh() {
	a.mu.Lock()
	a.fullDue = time.Time{}
	a.mu.Unlock()
	a.Nudge()
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// probeLoop asks whoever is due, so many at a time, until ctx ends.
func (a *Agent) probeLoop(ctx context.Context) {
	var asked sync.WaitGroup
	defer asked.Wait()
	limit := make(chan struct{}, a.cfg.Probes)
	for ctx.Err() == nil {
		t := a.probes.take(a.now())
		if t == nil {
			a.probeSleep(ctx)
			continue
		}
		select {
		case limit <- struct{}{}:
		case <-ctx.Done():
			a.probes.putBack(t)
			return
		}
		asked.Go(func() {
			health, changed := a.probes.ask(ctx, t, a.now)
			<-limit
			poke(a.kick)
			a.metrics.probe(health)
			if changed && ctx.Err() == nil {
				a.mu.Lock()
				a.engine.Verdict(t.key, health, a.now())
				a.mu.Unlock()
				a.Nudge()
			}
		})
	}
}

func (a *Agent) probeSleep(ctx context.Context) {
	var at <-chan time.Time
	if next := a.probes.next(); !next.IsZero() {
		t := a.clock.NewTimer(next.Sub(a.now()))
		defer t.Stop()
		at = t.C()
	}
	select {
	case <-ctx.Done():
	case <-a.kick:
	case <-at:
	}
}
