package docker

import (
	"context"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// find returns the container of an instance, nil if there is none. One that
// has the name and not our mark is Refused. One of ours that somebody renamed
// is found by its labels.
func (r *Runtime) find(ctx context.Context, op string, key plans.Key) (*container.InspectResponse, error) {
	name := Name(r.owner.Fleet, key)
	c, err := r.inspect(ctx, name)
	if err != nil {
		return nil, r.problem(op, key.String(), err)
	}
	if c != nil {
		if !owned(r.owner, c.Config.Labels) || keyOf(c.Config.Labels) != key {
			return nil, foreign(op, key.String(), "container "+name)
		}
		return c, nil
	}
	list, err := r.list(ctx, key)
	if err != nil || len(list) == 0 {
		return nil, r.problem(op, key.String(), err)
	}
	c, err = r.inspect(ctx, list[0].ID)
	return c, r.problem(op, key.String(), err)
}

// inspect returns a container, nil if there is none.
func (r *Runtime) inspect(ctx context.Context, nameOrID string) (*container.InspectResponse, error) {
	got, err := r.cli.ContainerInspect(ctx, nameOrID, client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &got.Container, nil
}

// list returns our containers; parts of key that are set narrow it.
func (r *Runtime) list(ctx context.Context, key plans.Key) ([]container.Summary, error) {
	got, err := r.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: r.filters(key)})
	return got.Items, err
}

func (r *Runtime) filters(key plans.Key) client.Filters {
	f := make(client.Filters).Add("label", labelFleet+"="+r.owner.Fleet, labelNode+"="+r.owner.Node)
	for label, value := range map[string]string{
		labelTenant: key.Tenant, labelSlot: string(key.Slot), labelService: key.Service,
	} {
		if value != "" {
			f.Add("label", label+"="+value)
		}
	}
	return f
}
