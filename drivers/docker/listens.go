package docker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"github.com/gitops-fleet/reconcile/plans"
)

// Listens implements drivers.Runtime. On a network of its own the container
// must run, the engine must have bound the port for it, and the socket must be
// held by the engine's proxy for that very address of the container (or by the
// engine, or by nobody where packets are redirected by the kernel). On the
// host's network the holder must be a process of the container. What was proved
// once holds while the very socket is there and no event was heard about the
// container.
func (r *Runtime) Listens(ctx context.Context, key plans.Key, port int) error {
	const op = "look at the port of"
	socket, mark := listeningInode(port), r.cache.mark()
	if r.cache.proved(key, port, socket) {
		return nil
	}
	c, err := r.find(ctx, op, key)
	if err != nil {
		return err
	}
	if c == nil || !c.State.Running {
		return conflict(op, key.String(), "it does not run")
	}
	by := holderOf(port, socket)
	if c.HostConfig.NetworkMode.IsHost() {
		if by.known() && by.pidns == process(c.State.Pid).pidns {
			r.cache.prove(mark, key, port, socket, c.ID)
			return nil
		}
		return conflict(op, key.String(), fmt.Sprintf("port %d is answered by %s", port, by))
	}
	inside, ok := boundPort(c, port)
	if !ok {
		return conflict(op, key.String(), fmt.Sprintf("port %d is not bound for it; it is answered by %s", port, by))
	}
	if by.known() && !proxies(by, c, inside, port) {
		return conflict(op, key.String(), fmt.Sprintf("port %d is answered by %s", port, by))
	}
	r.cache.prove(mark, key, port, socket, c.ID)
	return nil
}

// boundPort returns the port inside to which the engine leads a host port now.
func boundPort(c *container.InspectResponse, port int) (int, bool) {
	for inside, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if b.HostPort == strconv.Itoa(port) && (b.HostIP == loopback || b.HostIP.IsUnspecified() || !b.HostIP.IsValid()) {
				return int(inside.Num()), true
			}
		}
	}
	return 0, false
}

// proxies says whether the process that holds the socket stands for the
// container: docker-proxy says on its command line for which address it does.
func proxies(by listener, c *container.InspectResponse, inside, port int) bool {
	if by.name == "dockerd" || strings.HasPrefix(by.name, "rootlesskit") {
		return true
	}
	if !strings.HasPrefix(by.name, "docker-proxy") {
		return false
	}
	if option(by.args, "-host-port") != strconv.Itoa(port) || option(by.args, "-container-port") != strconv.Itoa(inside) {
		return false
	}
	for _, end := range c.NetworkSettings.Networks {
		if end.IPAddress.IsValid() && option(by.args, "-container-ip") == end.IPAddress.String() {
			return true
		}
	}
	return false
}

func option(args []string, name string) string {
	if i := slices.Index(args, name); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}
