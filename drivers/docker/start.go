package docker

import (
	"context"
	"maps"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// Start implements drivers.Runtime. It creates first and looks only when the
// name is taken: the common way costs two requests, create and start.
func (r *Runtime) Start(ctx context.Context, id string, want plans.Instance) error {
	ref := want.Key.String()
	opts, err := r.order(want)
	if err != nil {
		return err
	}
	defer r.nets.lock(want.Tenant)()
	own := want.Spec.Network != "host"
	if own {
		if err := r.ensureNetwork(ctx, want.Tenant, want.Slot); err != nil {
			return r.problem("start", ref, err)
		}
	}
	made, err := r.cli.ContainerCreate(ctx, opts)
	switch {
	case err == nil:
		return r.launch(ctx, made.ID, want)
	case cerrdefs.IsConflict(err):
		return r.again(ctx, want, opts, conflict("start", ref, "the name "+opts.Name+" was taken and is free again"))
	case cerrdefs.IsNotFound(err) && strings.Contains(strings.ToLower(err.Error()), "no such image"):
		// The engine looks for the image before the name.
		return r.again(ctx, want, opts, refused("start", ref, "the image "+reference(want.Spec.Image)+" is not on this host", "pull it first"))
	}
	return r.problem("start", ref, err)
}

// again brings an instance that exists to the order, or says what is in the
// way. If there is none, the answer is why it could not be made.
func (r *Runtime) again(ctx context.Context, want plans.Instance, opts client.ContainerCreateOptions, why error) error {
	ref := want.Key.String()
	c, err := r.find(ctx, "start", want.Key)
	if err != nil {
		return err
	}
	if c == nil {
		return why
	}
	if what := differs(c, want, opts); what != "" {
		return conflict("start", ref, what)
	}
	if err := r.setPolicy(ctx, c, restartPolicy(want.Spec, want.Routed), want.Routed); err != nil {
		return r.problem("start", ref, err)
	}
	switch s := c.State; s.Status {
	case container.StateRunning, container.StateRestarting:
		return nil
	case container.StatePaused:
		r.cache.drop(c.ID)
		_, err := r.cli.ContainerUnpause(ctx, c.ID, client.ContainerUnpauseOptions{})
		return r.problem("start", ref, err)
	case container.StateRemoving, container.StateDead:
		return conflict("start", ref, "what was there is still being removed")
	case container.StateCreated:
		return r.launch(ctx, c.ID, want)
	}
	if want.Spec.Job != nil {
		return nil // it ran in this attempt
	}
	return r.run(ctx, c.ID, want)
}

// differs says in what an existing container is not the one that is wanted, ""
// if it is. What the digest covers is not looked at again; what is chosen on
// this host, and not part of it, is.
func differs(c *container.InspectResponse, want plans.Instance, opts client.ContainerCreateOptions) string {
	labels := c.Config.Labels
	switch {
	case labels[labelDigest] != want.Digest:
		return "it exists with service digest " + labels[labelDigest] + ", not " + want.Digest
	case labels[labelGeneration] != want.Generation:
		return "it exists with generation " + labels[labelGeneration] + ", not " + want.Generation
	case want.Spec.Job != nil && labels[labelAttempt] != want.Attempt:
		return "the job is there from attempt " + labels[labelAttempt] + ", not " + want.Attempt
	case labels[labelPorts] != portsLabel(want) || !sameBindings(c.HostConfig.PortBindings, opts.HostConfig.PortBindings):
		return "it exists with other ports"
	case !maps.Equal(bindsOf(c), want.Volumes):
		return "it exists with other volumes"
	}
	return ""
}

func sameBindings(a, b network.PortMap) bool {
	return maps.EqualFunc(a, b, func(x, y []network.PortBinding) bool { return slices.Equal(x, y) })
}

func bindsOf(c *container.InspectResponse) map[string]plans.Bind {
	binds := map[string]plans.Bind{}
	for _, m := range c.HostConfig.Mounts {
		binds[m.Target] = plans.Bind{Host: m.Source, ReadOnly: m.ReadOnly}
	}
	return binds
}

// launch finishes a container that was created and never started.
func (r *Runtime) launch(ctx context.Context, id string, want plans.Instance) error {
	if err := r.copyFiles(ctx, id, want.Spec); err != nil {
		return r.problem("start", want.Key.String(), err)
	}
	if want.Slot == plans.Shared && want.Spec.Network != "host" {
		if err := r.joinSlots(ctx, id, want); err != nil {
			return r.problem("start", want.Key.String(), err)
		}
	}
	if neverRestarts(want.Spec) && want.Routed {
		if err := r.state.mark(setRouted, id, true); err != nil {
			return r.problem("start", want.Key.String(), err)
		}
	}
	return r.run(ctx, id, want)
}

// run starts a container. One whose network was removed and made again (a
// stopped container does not keep it) is wired to the new one first.
func (r *Runtime) run(ctx context.Context, id string, want plans.Instance) error {
	r.cache.drop(id)
	_, err := r.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
	if err != nil && want.Spec.Network != "host" && networkGone(err) {
		if err = r.rewire(ctx, id, want); err == nil {
			_, err = r.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
		}
	}
	if err != nil {
		return r.problem("start", want.Key.String(), explainPort(err, want))
	}
	return nil
}

// networkGone says that the engine could not start a container because a
// network of it is not there.
func networkGone(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "network") && strings.Contains(text, "not found")
}
