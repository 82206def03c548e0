package process

import (
	"context"
	"errors"
	"fmt"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// ask puts one question to the shim of a running instance.
func (r *Runtime) ask(ctx context.Context, op string, key plans.Key, q request) (answer, error) {
	ref := key.String()
	seen, err := r.look(key)
	if err != nil {
		return answer{}, err
	}
	if seen == nil || seen.Phase != observed.Running {
		return answer{}, problem(op, ref, observed.Conflict, "", "it does not run")
	}
	c, err := r.dial(ctx, key)
	if err == nil {
		defer c.Close()
		var a answer
		if a, err = c.ask(ctx, q); err == nil {
			return a, nil
		}
	}
	switch {
	case errors.Is(err, errGone):
		return answer{}, problem(op, ref, observed.Conflict, "", "it ended just now")
	case ctx.Err() != nil:
		return answer{}, late(ctx, op, ref)
	}
	return answer{}, observed.Wrap(op, ref, observed.Transient, err, "")
}

// Exec implements drivers.Runtime. A command that cannot be started at all
// exits 127, as in a shell.
func (r *Runtime) Exec(ctx context.Context, key plans.Key, command []string) (int, string, error) {
	a, err := r.ask(ctx, "exec in", key, request{Ask: askExec, Command: command})
	return a.Exit, a.Out, err
}

// Listens implements drivers.Runtime: the sockets that listen on the port must
// all be held by processes of the instance's own pid namespace.
func (r *Runtime) Listens(ctx context.Context, key plans.Key, port int) error {
	const op = "look at the port of"
	a, err := r.ask(ctx, op, key, request{Ask: askListens, Port: port})
	switch {
	case err != nil:
		return err
	case a.Ours:
		return nil
	case len(a.Others) == 0:
		return problem(op, key.String(), observed.Conflict, "", "nobody listens on port %d", port)
	}
	return problem(op, key.String(), observed.Conflict, fmt.Sprintf("ss -ltnp 'sport = :%d'", port),
		"port %d is answered by %s", port, ownerOf(a.Others))
}

// ImageHealth implements drivers.Runtime.
func (r *Runtime) ImageHealth(ctx context.Context, key plans.Key) (observed.Verdict, string, error) {
	a, err := r.ask(ctx, "look at the health of", key, request{Ask: askHealth})
	return a.Verdict, a.Out, err
}
