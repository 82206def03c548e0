package docker

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// order turns an instance into what the engine is asked to create.
func (r *Runtime) order(want plans.Instance) (client.ContainerCreateOptions, error) {
	var none client.ContainerCreateOptions
	for name := range want.Spec.Labels {
		if strings.HasPrefix(name, labelPrefix) {
			return none, refused("start", want.Key.String(), "label "+name+" is one of ours", "labels that begin with "+labelPrefix+" belong to reconcile")
		}
	}
	if err := checkFiles(want); err != nil {
		return none, refused("start", want.Key.String(), err.Error(), "place the file beside the mount")
	}
	fromHost, inputs, err := hostInputs(r.state.key, want)
	if err != nil {
		return none, err
	}
	exposed, bindings, err := portBindings(want)
	if err != nil {
		return none, refused("start", want.Key.String(), err.Error(), "")
	}
	resources, err := resourcesOf(want.Spec.Resources)
	if err != nil {
		return none, refused("start", want.Key.String(), err.Error(), "write bytes, or a number with K, M or G")
	}
	spec := want.Spec
	cfg := &container.Config{
		Image: reference(spec.Image), Entrypoint: spec.Command, Cmd: spec.Args,
		Env: environment(want, fromHost), User: spec.User, WorkingDir: spec.Workdir,
		Labels: instanceLabels(r.owner, want, inputs), ExposedPorts: exposed,
		StopSignal: spec.StopSignal, Healthcheck: healthcheck(spec.Health),
	}
	if spec.StopTimeout > 0 {
		s := seconds(spec.StopTimeout.Std())
		cfg.StopTimeout = &s
	}
	host := &container.HostConfig{
		PortBindings: bindings, RestartPolicy: restartPolicy(want.Spec, want.Routed),
		CapAdd: spec.Capabilities, Privileged: spec.Privileged,
		Mounts: bindMounts(want.Volumes), Tmpfs: tmpfs(spec.Tmpfs), Resources: resources,
	}
	opts := client.ContainerCreateOptions{Config: cfg, HostConfig: host, Name: Name(r.owner.Fleet, want.Key)}
	if spec.Network == "host" {
		host.NetworkMode = "host"
		return opts, nil
	}
	net := NetworkName(r.owner.Fleet, want.Tenant, want.Slot)
	host.NetworkMode = container.NetworkMode(net)
	opts.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
		net: {Aliases: []string{want.Service}},
	}}
	return opts, nil
}

// reference returns repository@digest: the tag of a pinned image is for people.
func reference(image string) string {
	name, digest, ok := strings.Cut(image, "@")
	if !ok {
		return image
	}
	return withoutTag(name) + "@" + digest
}

func withoutTag(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i]
	}
	return name
}

// environment puts the plan's variables over those of host files, and both over
// what every runtime tells an instance: the ports to listen on, as PORT and as
// PORT_NAME for each. On the host's own network those are the host's.
func environment(want plans.Instance, fromHost map[string]string) []string {
	env := map[string]string{}
	for name := range want.Ports {
		port := strconv.Itoa(insidePort(want, name))
		env["PORT_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = port
		if name == "http" || len(want.Ports) == 1 {
			env["PORT"] = port
		}
	}
	maps.Copy(env, fromHost)
	maps.Copy(env, want.Spec.Env)
	lines := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		lines = append(lines, name+"="+env[name])
	}
	return lines
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// portBindings binds our ports to loopback and the published ones where the
// plan says. On the host's own network there is nothing to bind.
func portBindings(want plans.Instance) (network.PortSet, network.PortMap, error) {
	if want.Spec.Network == "host" {
		return nil, nil, nil
	}
	exposed, bindings := network.PortSet{}, network.PortMap{}
	add := func(inside int, protocol string, b network.PortBinding) error {
		p, err := network.ParsePort(strconv.Itoa(inside) + "/" + protocol)
		if err != nil {
			return err
		}
		exposed[p] = struct{}{}
		bindings[p] = append(bindings[p], b)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(want.Ports)) {
		inside, ok := want.Spec.Ports[name]
		if !ok {
			return nil, nil, fmt.Errorf("host port %d is for port %q, which the service does not have", want.Ports[name], name)
		}
		if err := add(inside, "tcp", network.PortBinding{HostIP: loopback, HostPort: strconv.Itoa(want.Ports[name])}); err != nil {
			return nil, nil, err
		}
	}
	for _, p := range want.Spec.Publish {
		addr := loopback
		if p.Host != "" {
			var err error
			if addr, err = netip.ParseAddr(p.Host); err != nil {
				return nil, nil, fmt.Errorf("publish port %d: %w", p.Port, err)
			}
		}
		protocol := p.Protocol
		if protocol == "" {
			protocol = "tcp"
		}
		if err := add(p.Container, protocol, network.PortBinding{HostIP: addr, HostPort: strconv.Itoa(p.Port)}); err != nil {
			return nil, nil, err
		}
	}
	return exposed, bindings, nil
}

// bindMounts mounts host paths that must exist: an engine that makes a missing
// one would hide that a volume is gone.
func bindMounts(volumes map[string]plans.Bind) []mount.Mount {
	mounts := make([]mount.Mount, 0, len(volumes))
	for _, path := range slices.Sorted(maps.Keys(volumes)) {
		b := volumes[path]
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: b.Host, Target: path, ReadOnly: b.ReadOnly})
	}
	return mounts
}

// tmpfs reads "path" or "path:options" (docs.docker.com, docker run --tmpfs).
func tmpfs(paths []string) map[string]string {
	if len(paths) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, p := range paths {
		path, options, _ := strings.Cut(p, ":")
		m[path] = options
	}
	return m
}

// resourcesOf bounds memory without swap on top: the bound of a plan is what an
// instance may use at all.
func resourcesOf(want plans.Resources) (container.Resources, error) {
	var res container.Resources
	if want.Memory != "" {
		bytes, err := parseBytes(want.Memory)
		if err != nil {
			return res, fmt.Errorf("memory %q: %w", want.Memory, err)
		}
		res.Memory, res.MemorySwap = bytes, bytes
	}
	res.NanoCPUs = int64(math.Round(want.CPUs * 1e9))
	if want.Pids > 0 {
		pids := int64(want.Pids)
		res.PidsLimit = &pids
	}
	return res, nil
}

func parseBytes(s string) (int64, error) {
	shift, digits := 0, strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s), "B"), "I")
	if n := len(digits); n > 0 {
		if at := strings.IndexByte("KMGT", digits[n-1]); at >= 0 {
			shift, digits = 10*(at+1), digits[:n-1]
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("not a number of bytes")
	}
	return n << shift, nil
}

// restartPolicy is the whole of what an engine does without us: what is routed
// comes back, nothing else does. It is "always" and not "unless-stopped": an
// engine that was killed and comes back ends the containers it finds running,
// and takes that for a person's stop (seen on 20.10: none of them came back).
// What we stop is kept down by taking the policy away.
func restartPolicy(spec plans.Service, routed bool) container.RestartPolicy {
	switch {
	case !routed || neverRestarts(spec):
		return container.RestartPolicy{Name: container.RestartPolicyDisabled}
	case spec.Restart == "onFailure":
		return container.RestartPolicy{Name: container.RestartPolicyOnFailure}
	}
	return container.RestartPolicy{Name: container.RestartPolicyAlways}
}

// healthcheck keeps the image's own check, at the plan's pace where it has one.
func healthcheck(h *plans.Health) *container.HealthConfig {
	if h == nil || !h.Image || h.Interval <= 0 && h.Timeout <= 0 && h.Failures <= 0 {
		return nil
	}
	return &container.HealthConfig{Interval: h.Interval.Std(), Timeout: h.Timeout.Std(), Retries: h.Failures}
}

// seconds rounds up: an engine counts in whole seconds, and 0 kills at once.
func seconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
