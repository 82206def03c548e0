package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// stopReserve is what a shim may take beyond the grace, to kill, reap, and
// write down, before it is itself killed as one that hangs.
const stopReserve = 15 * time.Second

// Stop implements drivers.Runtime.
func (r *Runtime) Stop(ctx context.Context, _ string, key plans.Key, grace time.Duration) error {
	defer r.key(key)()
	o, err := r.find(key)
	if o == nil || err != nil {
		return err
	}
	return r.end(ctx, "stop", key, grace)
}

// end brings an instance to the state in which no process of it is left.
func (r *Runtime) end(ctx context.Context, op string, key plans.Key, grace time.Duration) error {
	c, err := r.dial(ctx, key)
	switch {
	case errors.Is(err, errGone):
		// It may be about to listen, or about to be gone.
		return r.settle(ctx, op, key, grace)
	case err != nil:
		return observed.Wrap(op, key.String(), observed.Transient, err, "")
	}
	defer c.Close()
	limit, cancel := context.WithTimeout(ctx, grace+r.hangs)
	defer cancel()
	_, err = c.ask(limit, request{Ask: askStop, Grace: grace})
	if err == nil || errors.Is(err, errGone) {
		err = c.gone(limit)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return late(ctx, op, key.String())
	}
	// The shim hangs. Killing it ends all of the instance.
	r.log.Warn("shim does not answer, killing it", "instance", key.String(), "err", err)
	if err := c.kill(); err != nil {
		return observed.Wrap(op, key.String(), observed.Transient, err, "")
	}
	if err := c.gone(ctx); err != nil {
		return observed.Wrap(op, key.String(), observed.Transient, err, "")
	}
	return nil
}

// settle waits for an instance whose shim does not listen to become one way or
// the other: it listens, or it is gone.
func (r *Runtime) settle(ctx context.Context, op string, key plans.Key, grace time.Duration) error {
	for {
		held, err := lockHeld(filepath.Join(r.dir(key), lockFile))
		if err != nil {
			return environment(op, key, err)
		}
		if !held {
			return nil
		}
		if c, err := r.dial(ctx, key); err == nil {
			c.Close()
			return r.end(ctx, op, key, grace)
		}
		select {
		case <-ctx.Done():
			return late(ctx, op, key.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Remove implements drivers.Runtime. It kills what runs: who wants it to end
// well stops it first.
func (r *Runtime) Remove(ctx context.Context, _ string, key plans.Key) error {
	defer r.key(key)()
	o, err := r.find(key)
	if o == nil || err != nil {
		return err
	}
	if err := r.end(ctx, "remove", key, 0); err != nil {
		return err
	}
	return environment("remove", key, r.discard(r.dir(key)))
}

// SetRouted implements drivers.Runtime. The shim looks at the flag whenever
// its command has ended.
func (r *Runtime) SetRouted(_ context.Context, _ string, key plans.Key, routed bool) error {
	defer r.key(key)()
	o, err := r.find(key)
	if err != nil {
		return err
	}
	if o == nil {
		return problem("set routed", key.String(), observed.Conflict, "", "there is no such instance")
	}
	return environment("set routed", key, setRouted(r.dir(key), routed))
}

func setRouted(dir string, routed bool) error {
	path := filepath.Join(dir, routedFile)
	have, err := exists(path)
	if err != nil || have == routed {
		return err
	}
	if routed {
		return writeFile(path, nil, 0o600)
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(dir)
}
