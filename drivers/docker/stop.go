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
	routed := r.routed(c)
	if err := r.setPolicy(ctx, c, restartPolicy(specOf(c), false), routed); err != nil {
		return r.problem("stop", key.String(), err)
	}
	if ended(c) {
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
// container, which goes on running. One that does not run is noted as routed
// and gets its policy when it is started.
func (r *Runtime) SetRouted(ctx context.Context, id string, key plans.Key, routed bool) error {
	c, err := r.find(ctx, "set routed", key)
	if err != nil {
		return err
	}
	if c == nil {
		return conflict("set routed", key.String(), "there is no such instance")
	}
	policy := restartPolicy(specOf(c), routed && !ended(c))
	return r.problem("set routed", key.String(), r.setPolicy(ctx, c, policy, routed))
}

// setPolicy gives a container a restart policy, and notes where that does not
// say whether it is routed.
func (r *Runtime) setPolicy(ctx context.Context, c *container.InspectResponse, policy container.RestartPolicy, routed bool) error {
	r.cache.drop(c.ID)
	if err := r.state.mark(setRouted, c.ID, routed && policy.IsNone()); err != nil {
		return err
	}
	if c.HostConfig.RestartPolicy.Name == policy.Name || c.HostConfig.RestartPolicy.IsNone() && policy.IsNone() {
		return nil
	}
	_, err := r.cli.ContainerUpdate(ctx, c.ID, client.ContainerUpdateOptions{RestartPolicy: &policy})
	return err
}

// routed says whether a container is routed: its policy restarts it, or it is
// noted.
func (r *Runtime) routed(c *container.InspectResponse) bool {
	return !c.HostConfig.RestartPolicy.IsNone() || r.state.has(setRouted, c.ID)
}

// ended says that nothing of it runs.
func ended(c *container.InspectResponse) bool {
	s := c.State.Status
	return s == container.StateExited || s == container.StateCreated || s == container.StateDead
}
