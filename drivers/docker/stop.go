package docker

import (
	"context"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// Stop implements drivers.Runtime. The engine counts grace in whole seconds;
// it is rounded up.
func (r *Runtime) Stop(ctx context.Context, id string, key plans.Key, grace time.Duration) error {
	c, err := r.find(ctx, "stop", key)
	if err != nil || c == nil {
		return err
	}
	if s := c.State.Status; s == container.StateExited || s == container.StateCreated || s == container.StateDead {
		return nil
	}
	r.cache.drop(c.ID)
	timeout := seconds(max(grace, 0))
	_, err = r.cli.ContainerStop(ctx, c.ID, client.ContainerStopOptions{Timeout: &timeout})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsNotModified(err) {
		return nil
	}
	return r.problem("stop", key.String(), err)
}

// Remove implements drivers.Runtime. It kills what still runs. With the last
// container of a slot goes the slot's network.
func (r *Runtime) Remove(ctx context.Context, id string, key plans.Key) error {
	defer r.nets.lock(key.Tenant)()
	c, err := r.find(ctx, "remove", key)
	if err != nil {
		return err
	}
	if c != nil {
		if err := r.remove(ctx, c.ID); err != nil {
			return r.problem("remove", key.String(), err)
		}
	}
	return r.problem("remove", key.String(), r.dropNetwork(ctx, key.Tenant, key.Slot))
}

// remove returns when the container is gone, also where another request (one
// of ours whose reply was lost) removes it already.
func (r *Runtime) remove(ctx context.Context, id string) error {
	r.cache.drop(id)
	wait := r.cli.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	_, err := r.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsConflict(err) {
		select {
		case <-wait.Result:
			err = nil
		case err = <-wait.Error:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		return err
	}
	return r.state.mark(setRouted, id, false)
}

// SetRouted implements drivers.Runtime: it changes the restart policy of the
// container, which goes on running.
func (r *Runtime) SetRouted(ctx context.Context, id string, key plans.Key, routed bool) error {
	c, err := r.find(ctx, "set routed", key)
	if err != nil {
		return err
	}
	if c == nil {
		return conflict("set routed", key.String(), "there is no such instance")
	}
	return r.problem("set routed", key.String(), r.setRouted(ctx, c, specOf(c), routed))
}

func (r *Runtime) setRouted(ctx context.Context, c *container.InspectResponse, spec plans.Service, routed bool) error {
	r.cache.drop(c.ID)
	if neverRestarts(spec) {
		return r.state.mark(setRouted, c.ID, routed)
	}
	want := restartPolicy(spec, routed)
	if c.HostConfig.RestartPolicy.Name == want.Name {
		return nil
	}
	_, err := r.cli.ContainerUpdate(ctx, c.ID, client.ContainerUpdateOptions{RestartPolicy: &want})
	return err
}
