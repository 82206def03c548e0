package docker

import (
	"context"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// networks orders what is done to the networks of one tenant, and remembers
// which are known to be complete.
type networks struct {
	mu      sync.Mutex // guards tenants and ready
	tenants map[string]*sync.Mutex
	// ready are networks seen to exist with the tenant's shared services
	// joined, by this process. One that is gone shows when a start fails.
	ready map[string]bool
}

func newNetworks() *networks {
	return &networks{tenants: map[string]*sync.Mutex{}, ready: map[string]bool{}}
}

// lock waits for other work on the tenant's networks and returns the unlock.
func (n *networks) lock(tenant string) func() {
	n.mu.Lock()
	m := n.tenants[tenant]
	if m == nil {
		m = &sync.Mutex{}
		n.tenants[tenant] = m
	}
	n.mu.Unlock()
	m.Lock()
	return m.Unlock
}

func (n *networks) is(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ready[name]
}

func (n *networks) set(name string, ready bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ready {
		n.ready[name] = true
	} else {
		delete(n.ready, name)
	}
}

// ensureNetwork makes the network of a slot exist, with the tenant's shared
// services joined to it. The engine would make a second one of the same name
// without a word, so it looks first; the tenant's lock and the host's one
// controller keep the two steps together.
func (r *Runtime) ensureNetwork(ctx context.Context, tenant string, slot plans.Slot) error {
	name := NetworkName(r.owner.Fleet, tenant, slot)
	if r.nets.is(name) {
		return nil
	}
	got, err := r.cli.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		_, err = r.cli.NetworkCreate(ctx, name, client.NetworkCreateOptions{
			Driver: "bridge", Labels: slotLabels(r.owner, tenant, slot),
		})
	case err == nil && (!owned(r.owner, got.Network.Labels) || got.Network.Labels[labelTenant] != tenant):
		return foreign("make", "network of "+tenant+"/"+string(slot), "network "+name)
	}
	if err != nil {
		return err
	}
	if slot != plans.Shared {
		if err := r.joinShared(ctx, tenant, name); err != nil {
			return err
		}
	}
	r.nets.set(name, true)
	return nil
}

// joinShared joins the tenant's shared services to one slot's network.
func (r *Runtime) joinShared(ctx context.Context, tenant, name string) error {
	shared, err := r.list(ctx, plans.Key{Tenant: tenant, Slot: plans.Shared})
	if err != nil {
		return err
	}
	for _, c := range shared {
		if c.HostConfig.NetworkMode == "host" || c.NetworkSettings != nil && c.NetworkSettings.Networks[name] != nil {
			continue
		}
		if err := r.join(ctx, name, c.ID, c.Labels[labelService]); err != nil {
			return err
		}
	}
	return nil
}

// joinSlots joins a shared service to the networks of the slots there are.
func (r *Runtime) joinSlots(ctx context.Context, id string, want plans.Instance) error {
	got, err := r.cli.NetworkList(ctx, client.NetworkListOptions{Filters: r.filters(plans.Key{Tenant: want.Tenant})})
	if err != nil {
		return err
	}
	for _, n := range got.Items {
		if slot := plans.Slot(n.Labels[labelSlot]); slot != plans.Shared {
			if err := r.join(ctx, n.Name, id, want.Service); err != nil {
				return err
			}
		}
	}
	return nil
}

// join connects a container to a network under an alias; connected already is
// no error.
func (r *Runtime) join(ctx context.Context, name, id, alias string) error {
	r.cache.drop(id)
	_, err := r.cli.NetworkConnect(ctx, name, client.NetworkConnectOptions{
		Container: id, EndpointConfig: &network.EndpointSettings{Aliases: []string{alias}},
	})
	if err == nil || !cerrdefs.IsConflict(err) && !cerrdefs.IsPermissionDenied(err) {
		return err
	}
	c, lookErr := r.inspect(ctx, id)
	if lookErr == nil && (c == nil || c.NetworkSettings.Networks[name] != nil) {
		return nil
	}
	return err
}

// rewire gives a stopped container endpoints in networks that were made again:
// it holds the ids of those that are gone.
func (r *Runtime) rewire(ctx context.Context, id string, want plans.Instance) error {
	r.nets.set(NetworkName(r.owner.Fleet, want.Tenant, want.Slot), false)
	if err := r.ensureNetwork(ctx, want.Tenant, want.Slot); err != nil {
		return err
	}
	c, err := r.inspect(ctx, id)
	if err != nil || c == nil {
		return err
	}
	got, err := r.cli.NetworkList(ctx, client.NetworkListOptions{Filters: r.filters(plans.Key{Tenant: want.Tenant})})
	if err != nil {
		return err
	}
	now := map[string]string{}
	for _, n := range got.Items {
		now[n.Name] = n.ID
	}
	for name, end := range c.NetworkSettings.Networks {
		if now[name] == end.NetworkID && end.NetworkID != "" {
			continue
		}
		// By name while a network of that name is there; one that is not has
		// nothing to be disconnected from.
		_, err := r.cli.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: id, Force: true})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return err
		}
		if now[name] == "" {
			continue
		}
		if err := r.join(ctx, name, id, want.Service); err != nil {
			return err
		}
	}
	return nil
}

// dropNetwork removes a slot's network if no container of the slot is left.
// Shared services that are joined to it leave it first.
func (r *Runtime) dropNetwork(ctx context.Context, tenant string, slot plans.Slot) error {
	left, err := r.list(ctx, plans.Key{Tenant: tenant, Slot: slot})
	if err != nil || len(left) > 0 {
		return err
	}
	name := NetworkName(r.owner.Fleet, tenant, slot)
	r.nets.set(name, false)
	got, err := r.cli.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil || !owned(r.owner, got.Network.Labels) {
		return err
	}
	if slot != plans.Shared {
		shared, err := r.list(ctx, plans.Key{Tenant: tenant, Slot: plans.Shared})
		if err != nil {
			return err
		}
		for _, c := range shared {
			if c.NetworkSettings == nil || c.NetworkSettings.Networks[name] == nil {
				continue
			}
			r.cache.drop(c.ID)
			if _, err := r.cli.NetworkDisconnect(ctx, name, client.NetworkDisconnectOptions{Container: c.ID, Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
				return err
			}
		}
	}
	_, err = r.cli.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}
