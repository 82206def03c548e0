package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Observe implements drivers.Runtime. It reads files and looks at locks, and
// never waits for a shim.
func (r *Runtime) Observe(ctx context.Context, tenants ...string) ([]observed.Instance, map[string][]string, error) {
	dirs, err := os.ReadDir(r.path(instancesDir))
	if err != nil {
		return nil, nil, observed.Wrap("observe", r.path(instancesDir), observed.Environment, err, "")
	}
	var seen []observed.Instance
	foreign := map[string][]string{}
	for _, e := range dirs {
		if ctx.Err() != nil {
			return nil, nil, late(ctx, "observe", "instances")
		}
		key, ok := keyOf(e.Name())
		if !ok || len(tenants) > 0 && !slices.Contains(tenants, key.Tenant) {
			continue
		}
		i, err := r.look(key)
		var p *observed.Problem
		switch {
		case err == nil && i != nil:
			seen = append(seen, *i)
		case errors.As(err, &p) && p.Class == observed.Refused:
			foreign[key.Tenant] = append(foreign[key.Tenant], r.path(instancesDir, e.Name()))
		case err != nil:
			return nil, nil, err
		}
	}
	slices.SortFunc(seen, func(a, b observed.Instance) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Service, b.Service))
	})
	return seen, foreign, nil
}

// look returns an instance as it is seen; nil if there is none. One that bears
// the name and is not ours is Refused.
func (r *Runtime) look(key plans.Key) (*observed.Instance, error) {
	o, err := r.find(key)
	if o == nil || err != nil {
		return nil, err
	}
	dir := r.dir(key)
	// The lock before the state: a shim writes its end down before it lets go.
	held, err := lockHeld(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, environment("observe", key, err)
	}
	var st state
	if err := readJSON(filepath.Join(dir, stateFile), &st); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, environment("observe", key, err)
	}
	routed, err := exists(filepath.Join(dir, routedFile))
	if err != nil {
		return nil, environment("observe", key, err)
	}
	i := &observed.Instance{
		Key: key, ID: o.ID, Digest: o.Digest, Generation: o.Generation, Attempt: o.Attempt, Image: o.Image,
		Job: o.Job, Started: st.Started, Restarts: st.Restarts, Routed: routed, Ports: o.Ports, Inputs: o.Inputs,
	}
	switch {
	case st.Phase == phaseExited:
		i.Phase, i.Exit = observed.Exited, st.Exit
	case held && st.Phase == phaseRunning:
		i.Phase = observed.Running
	case held && st.Phase == phaseWaiting:
		i.Phase, i.Exit, i.Restarting = observed.Exited, st.Exit, true
	case held || st.Phase == "":
		i.Phase = observed.Starting
	case st.Phase == phaseWaiting:
		i.Phase, i.Exit = observed.Exited, st.Exit
	default:
		i.Phase, i.Exit = observed.Exited, exitLost
	}
	return i, nil
}

// find reads what an instance was made from; nil if there is none.
func (r *Runtime) find(key plans.Key) (*order, error) {
	name, err := dirName(key)
	if err != nil {
		return nil, observed.Wrap("find", key.String(), observed.Refused, err, "")
	}
	dir := r.path(instancesDir, name)
	if there, err := exists(dir); err != nil || !there {
		return nil, environment("find", key, err)
	}
	o, err := readOrder(dir)
	switch {
	case err == nil && o.owned(r.cfg.Owner) && o.Key == key:
		return o, nil
	case err == nil:
		return nil, foreignAt("find", key, dir, fmt.Sprintf("it belongs to fleet %q, node %q", o.Fleet, o.Node))
	case errors.Is(err, fs.ErrNotExist):
		if there, e := exists(dir); e == nil && !there {
			return nil, nil // removed between the two looks
		}
		return nil, foreignAt("find", key, dir, "it lacks our mark")
	}
	return nil, foreignAt("find", key, dir, err.Error())
}

func readOrder(dir string) (*order, error) {
	var o order
	if err := readJSON(filepath.Join(dir, orderFile), &o); err != nil {
		return nil, err
	}
	return &o, nil
}

func foreignAt(op string, key plans.Key, dir, why string) error {
	return problem(op, key.String(), observed.Refused, "move it away if it is not needed", "%s has our name and is not ours: %s", dir, why)
}

// dir is the directory of an instance whose name was checked by find.
func (r *Runtime) dir(key plans.Key) string {
	name, err := dirName(key)
	if err != nil {
		panic(err) // find refuses such a key
	}
	return r.path(instancesDir, name)
}
