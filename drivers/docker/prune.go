package docker

import (
	"context"
	"errors"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// Prune implements drivers.Runtime. It removes only images that were pulled by
// us and that no container uses, whatever its state, and only networks of ours
// in which no container is left, whoever's tenant they were. One that cannot be removed does not stop the
// others; the problems come back together.
func (r *Runtime) Prune(ctx context.Context, keep, _ []string) error {
	return errors.Join(r.pruneImages(ctx, keep), r.pruneNetworks(ctx), r.pruneRouted(ctx))
}

func (r *Runtime) pruneImages(ctx context.Context, keep []string) error {
	kept := map[string]bool{}
	for _, image := range keep {
		kept[digestOf(image)] = true
	}
	var errs []error
	for _, ref := range r.state.all(setPulled) {
		if kept[digestOf(ref)] {
			continue
		}
		_, err := r.cli.ImageRemove(ctx, ref, client.ImageRemoveOptions{PruneChildren: true})
		switch {
		case cerrdefs.IsConflict(err):
			continue // a container uses it
		case err != nil && !cerrdefs.IsNotFound(err):
			errs = append(errs, r.problem("remove image", ref, err))
			continue
		}
		if err := r.state.mark(setPulled, ref, false); err != nil {
			errs = append(errs, r.problem("remove image", ref, err))
		}
	}
	return errors.Join(errs...)
}

// pruneNetworks removes what a crash between the last container and its
// network left. A network without containers may be one that a start just
// made: the tenant's lock keeps the two apart.
func (r *Runtime) pruneNetworks(ctx context.Context) error {
	got, err := r.cli.NetworkList(ctx, client.NetworkListOptions{Filters: r.filters(plans.Key{})})
	if err != nil {
		return r.problem("prune", "networks", err)
	}
	var errs []error
	for _, n := range got.Items {
		tenant, slot := n.Labels[labelTenant], plans.Slot(n.Labels[labelSlot])
		unlock := r.nets.lock(tenant)
		err := r.dropNetwork(ctx, tenant, slot)
		unlock()
		if err != nil {
			errs = append(errs, r.problem("remove network", n.Name, err))
		}
	}
	return errors.Join(errs...)
}

// pruneRouted forgets containers that are gone.
func (r *Runtime) pruneRouted(ctx context.Context) error {
	marked := r.state.all(setRouted)
	if len(marked) == 0 {
		return nil
	}
	list, err := r.list(ctx, plans.Key{})
	if err != nil {
		return r.problem("prune", "containers", err)
	}
	there := map[string]bool{}
	for _, c := range list {
		there[c.ID] = true
	}
	for _, id := range marked {
		if !there[id] {
			if err := r.state.mark(setRouted, id, false); err != nil {
				return r.problem("prune", "containers", err)
			}
		}
	}
	return nil
}
