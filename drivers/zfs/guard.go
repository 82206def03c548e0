package zfs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// guard keeps a call that hangs from taking others with it. A command on a
// suspended pool waits in the kernel, where no signal reaches it, until somebody
// repairs the pool: it is left behind, and while it is there every other call on
// that pool is refused at once instead of hanging too.
type guard struct {
	mu    sync.Mutex            // guards stuck
	stuck map[string]leftBehind // by pool
}

type leftBehind struct {
	what  string
	since time.Time
}

// killed is how long a killed command has to end before it counts as stuck.
const killed = 2 * time.Second

// run calls do and waits for it no longer than limit, or than ctx lasts.
func (g *guard) run(ctx context.Context, limit time.Duration, pool, what string, do func(context.Context) error) error {
	g.mu.Lock()
	left, stuck := g.stuck[pool]
	g.mu.Unlock()
	if stuck {
		return hanging(pool, fmt.Errorf("`%s` hangs since %s", left.what, left.since.Format(time.TimeOnly)))
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(bounded) }()
	select {
	case err := <-done:
		return given(ctx, bounded, pool, limit, err)
	case <-bounded.Done():
	}
	late := time.NewTimer(killed)
	defer late.Stop()
	select {
	case err := <-done:
		return given(ctx, bounded, pool, limit, err)
	case <-late.C:
	}
	g.mu.Lock()
	if g.stuck == nil {
		g.stuck = map[string]leftBehind{}
	}
	g.stuck[pool] = leftBehind{what, began}
	g.mu.Unlock()
	go func() {
		<-done
		g.mu.Lock()
		delete(g.stuck, pool)
		g.mu.Unlock()
	}()
	return hanging(pool, fmt.Errorf("`%s` does not end", what))
}

// given tells an error that our own limit made from one that was there before.
func given(ctx, bounded context.Context, pool string, limit time.Duration, err error) error {
	switch {
	case err == nil || bounded.Err() == nil:
		return err
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return context.Cause(ctx)
	}
	return hanging(pool, fmt.Errorf("no answer within %s", limit))
}

func hanging(pool string, err error) error {
	return &observed.Problem{Class: observed.Environment, Text: "pool " + pool + " does not answer: " + err.Error(),
		Hint: "look at `zpool status " + pool + "`; a suspended pool goes on after `zpool clear " + pool + "`"}
}
