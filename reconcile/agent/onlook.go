package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// proveLimit is how long Look waits for instances to answer often enough for a
// verdict.
const proveLimit = 5 * time.Second

// AcceptedCommit is the commit a journal knows as accepted, "" if there is none.
func AcceptedCommit(store journal.Store) (string, error) {
	raw, err := store.Get(journal.Meta, metaCommit)
	if err != nil {
		return "", fmt.Errorf("read journal: %w", err)
	}
	if raw == nil {
		return "", nil
	}
	var last accepted
	if err := json.Unmarshal(raw, &last); err != nil {
		return "", fmt.Errorf("read journal: accepted commit: %w", err)
	}
	return last.Commit, nil
}

// Look looks at everything once, asks every running instance how it is, and
// steps, but writes nothing and acts on nothing. It is for Status, Drift and
// Explain where no daemon runs; the agent must not be used to act afterwards.
func (a *Agent) Look(ctx context.Context) error {
	if !a.looping.TryLock() {
		return nil // a loop looks already
	}
	defer a.looping.Unlock()
	a.mu.Lock()
	req := a.engine.Everything()
	a.mu.Unlock()
	s := a.looker.look(ctx, req)
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	a.mu.Lock()
	a.engine.Saw(s)
	a.mu.Unlock()
	a.prove(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.engine
	e.steps = 0 // one turn shows all of it
	for _, m := range e.members {
		// All were just looked at: whatever concerned them before is in it.
		delete(e.stale, m)
		m.seen = m.news
		e.ready[m] = true
	}
	t, err := e.Turn(a.now())
	if err != nil {
		return fmt.Errorf("step: %w", err)
	}
	for _, w := range t.Work {
		e.members[w.tenant].flight = nil
		e.inFlight--
	}
	return nil
}

// prove asks instances until each has a verdict.
func (a *Agent) prove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, proveLimit)
	defer cancel()
	now := func() time.Time {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.now()
	}
	for {
		var asked sync.WaitGroup
		busy := make(chan struct{}, a.cfg.Probes)
		// Each once in a round: asking all of them may take longer than it is
		// until the first is due again.
		for _, t := range a.probes.takeAll(now()) {
			busy <- struct{}{}
			asked.Go(func() {
				defer func() { <-busy }()
				a.probes.ask(ctx, t, now)
			})
		}
		asked.Wait()
		if a.probes.proved() {
			return
		}
		wait := a.clock.NewTimer(a.probes.next().Sub(now()))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C():
		}
	}
}

// proved says that every instance has a verdict.
func (p *probes) proved() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.byID {
		if t.health.Verdict == observed.Unproven {
			return false
		}
	}
	return true
}
