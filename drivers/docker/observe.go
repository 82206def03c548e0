package docker

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// looks is how many containers are inspected at the same time.
const looks = 4

// Observe implements drivers.Runtime. It costs one list request (two where
// tenants are named), and one more for each container about which an event was
// heard since it was last inspected, or for every one while nobody watches.
func (r *Runtime) Observe(ctx context.Context, tenants ...string) ([]observed.Instance, map[string][]string, error) {
	list, err := r.listNamed(ctx, tenants)
	if err != nil {
		return nil, nil, r.problem("observe", "containers", err)
	}
	var ours []container.Summary
	others := map[string][]string{}
	for _, c := range list {
		if owned(r.owner, c.Labels) {
			if len(tenants) == 0 || slices.Contains(tenants, c.Labels[labelTenant]) {
				ours = append(ours, c)
			}
			continue
		}
		for _, name := range c.Names {
			name = strings.TrimPrefix(name, "/")
			tenant := tenantOf(r.owner.Fleet, name)
			if tenant != "" && (len(tenants) == 0 || slices.Contains(tenants, tenant)) {
				others[tenant] = append(others[tenant], "container "+name)
			}
		}
	}
	found := make([]*observed.Instance, len(ours))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(looks)
	for i, c := range ours {
		group.Go(func() (err error) {
			found[i], err = r.look(gctx, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, r.problem("observe", "containers", err)
	}
	seen := make([]observed.Instance, 0, len(found))
	for _, i := range found {
		if i != nil {
			seen = append(seen, *i)
		}
	}
	slices.SortFunc(seen, func(a, b observed.Instance) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Service, b.Service), cmp.Compare(a.ID, b.ID))
	})
	for _, names := range others {
		slices.Sort(names)
	}
	return seen, others, nil
}

// listNamed lists every container of the host where no tenant is named: those
// that only bear our name have no label to ask for. For named tenants it asks
// for the labels and for the names.
func (r *Runtime) listNamed(ctx context.Context, tenants []string) ([]container.Summary, error) {
	if len(tenants) == 0 {
		got, err := r.cli.ContainerList(ctx, client.ContainerListOptions{All: true})
		return got.Items, err
	}
	var key plans.Key
	if len(tenants) == 1 {
		key.Tenant = tenants[0]
	}
	list, err := r.list(ctx, key)
	if err != nil {
		return nil, err
	}
	names := make(client.Filters)
	for _, t := range tenants {
		names.Add("name", "^/?"+regexp.QuoteMeta(prefix+r.owner.Fleet+"-"+t)+"-(blue|green|tenant)-")
	}
	got, err := r.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: names})
	if err != nil {
		return nil, err
	}
	for _, c := range got.Items {
		if !owned(r.owner, c.Labels) {
			list = append(list, c)
		}
	}
	return list, nil
}

// look returns a container of the list as an instance, nil if it has gone.
func (r *Runtime) look(ctx context.Context, c container.Summary) (*observed.Instance, error) {
	if i, ok := r.cache.get(c.ID, c.State); ok {
		return &i, nil
	}
	mark := r.cache.mark()
	in, err := r.inspect(ctx, c.ID)
	if err != nil || in == nil {
		return nil, err
	}
	i, err := r.instance(ctx, in)
	if err != nil {
		return nil, err
	}
	r.cache.put(mark, c.ID, in.State.Status, i)
	return &i, nil
}

func (r *Runtime) instance(ctx context.Context, c *container.InspectResponse) (observed.Instance, error) {
	labels := c.Config.Labels
	image, err := r.runningImage(ctx, c)
	if err != nil {
		return observed.Instance{}, err
	}
	i := observed.Instance{
		Key: keyOf(labels), ID: c.ID, Digest: labels[labelDigest], Generation: labels[labelGeneration],
		Attempt: labels[labelAttempt], Image: image, Job: labels[labelJob] != "", Inputs: labels[labelInputs],
		Restarts: c.RestartCount, Ports: hostPorts(c), Routed: r.routed(c),
		Started: engineTime(c.State.StartedAt),
	}
	switch c.State.Status {
	case container.StateCreated:
		i.Phase = observed.Starting
	case container.StateRunning, container.StatePaused:
		i.Phase = observed.Running
	case container.StateRestarting:
		i.Phase, i.Restarting, i.Exit = observed.Exited, true, c.State.ExitCode
	default:
		i.Phase, i.Exit = observed.Exited, c.State.ExitCode
	}
	return i, nil
}

// hostPorts are the bindings the engine has, by the names the order gave them.
func hostPorts(c *container.InspectResponse) map[string]int {
	label, ok := c.Config.Labels[labelPorts]
	if !ok {
		return nil
	}
	ports := insidePorts(label)
	if c.HostConfig.NetworkMode.IsHost() {
		return ports
	}
	taken := map[string]bool{}
	for _, name := range sortedNames(ports) {
		inside := ports[name]
		delete(ports, name)
		for port, bindings := range c.HostConfig.PortBindings {
			if int(port.Num()) != inside || port.Proto() != "tcp" {
				continue
			}
			for _, b := range bindings {
				// Two names of one port inside were bound in the order of
				// their names; published addresses come after ours.
				if n, err := strconv.Atoi(b.HostPort); err == nil && !taken[b.HostPort] {
					ports[name], taken[b.HostPort] = n, true
					break
				}
			}
		}
	}
	return ports
}

func sortedNames(ports map[string]int) []string {
	names := make([]string, 0, len(ports))
	for name := range ports {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// engineTime reads a time of the engine; "0001-01-01T00:00:00Z" is never.
func engineTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}
