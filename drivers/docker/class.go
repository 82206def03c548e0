package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// symptom is a piece of an engine's error text and what it means. The engine
// passes on what the registry, the kernel and the container runtime said as
// text only, so text is what there is to tell them apart; case does not count.
type symptom struct {
	text  string
	class observed.Class
	hint  string
}

// symptoms are searched in order; the first that is found counts.
var symptoms = []symptom{
	{"no space left on device", observed.Environment, "free space under the engine's data root (docker system df), then it goes on by itself"},
	{"disk quota exceeded", observed.Environment, "free space under the engine's data root (docker system df), then it goes on by itself"},
	{"no matching manifest for", observed.Refused, "build and push the image for this host's platform"},
	{"does not match the specified platform", observed.Refused, "build and push the image for this host's platform"},
	{"cannot be used on this platform", observed.Refused, "build and push the image for this host's platform"},
	{"toomanyrequests", observed.Environment, "the registry limits pulls; log this host in (docker login), or wait"},
	{"too many requests", observed.Environment, "the registry limits pulls; log this host in (docker login), or wait"},
	{"connection refused", observed.Environment, "look whether the registry is up and reachable from this host"},
	{"no such host", observed.Environment, "look at the registry's name and this host's DNS"},
	{"i/o timeout", observed.Environment, "look whether the registry is up and reachable from this host"},
	{"tls handshake timeout", observed.Environment, "look whether the registry is up and reachable from this host"},
	{"network is unreachable", observed.Environment, "look at this host's network"},
	{"no route to host", observed.Environment, "look at this host's network"},
	{"client.timeout exceeded", observed.Environment, "look whether the registry is up and reachable from this host"},
	{"server gave http response to https client", observed.Refused, "the registry speaks plain HTTP: name it under insecure-registries of the engine"},
	{"x509:", observed.Refused, "put the registry's certificate authority under /etc/docker/certs.d"},
	{"manifest unknown", observed.Refused, "look whether the image was pushed and the digest is right"},
	{"access denied", observed.Refused, "log this host in to the registry (docker login), or look whether the repository exists"},
	{"requested access to the resource is denied", observed.Refused, "log this host in to the registry (docker login)"},
	{"unauthorized", observed.Refused, "log this host in to the registry (docker login)"},
	{"no basic auth credentials", observed.Refused, "log this host in to the registry (docker login)"},
	{"denied:", observed.Refused, "log this host in to the registry (docker login)"},
	{"403 forbidden", observed.Refused, "log this host in to the registry (docker login)"},
	{"name unknown", observed.Refused, "look whether the repository exists"},
	{"parsing http 401", observed.Refused, "log this host in to the registry (docker login)"},
	{"parsing http 403", observed.Refused, "log this host in to the registry (docker login), or look who may pull"},
	{"parsing http 404", observed.Refused, "look whether the image was pushed and the digest is right"},
	{"parsing http 5", observed.Environment, "the registry answers with an error of its own; look at it"},
	{"received unexpected http status: 5", observed.Environment, "the registry answers with an error of its own; look at it"},
	{"non-overlapping ipv4 address pool", observed.Environment, "the engine has no address range left for a network; give it more or smaller ones (default-address-pools in /etc/docker/daemon.json)"},
	{"address already in use", observed.Refused, ""},
	{"port is already allocated", observed.Refused, ""},
	{"bind source path does not exist", observed.Refused, "the volume's directory is not on this host; look at the storage driver's events"},
	{"oci runtime create failed", observed.Refused, "the image cannot run this order; look at command, user, workdir and mounts"},
	{"failed to create shim task", observed.Refused, "the image cannot run this order; look at command, user, workdir and mounts"},
	{"unable to find user", observed.Refused, "the image does not know the user"},
	{"no command specified", observed.Refused, "the image has no command of its own; give one in the plan"},
}

// problem makes a Problem of an engine's error. What nothing is known about is
// Transient: trying again is harmless, since every call is idempotent.
func (r *Runtime) problem(op, ref string, err error) error {
	if err == nil {
		return nil
	}
	if p := (*observed.Problem)(nil); errors.As(err, &p) {
		return observed.Wrap(op, ref, p.Class, err, "")
	}
	// The engine's own trouble comes as text: a number is of this process.
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return observed.Wrap(op, ref, observed.Environment, err, "free some space on the disk of the state directory; it goes on by itself")
	}
	if engineGone(err) {
		return observed.Wrap(op, ref, observed.Environment, err,
			"the docker engine at "+r.host+" does not answer; look at systemctl status docker")
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return observed.Wrap(op, ref, observed.Transient, err, "")
	}
	text := strings.ToLower(err.Error())
	for _, s := range symptoms {
		if strings.Contains(text, s.text) {
			return observed.Wrap(op, ref, s.class, err, s.hint)
		}
	}
	switch {
	case cerrdefs.IsInvalidArgument(err):
		return observed.Wrap(op, ref, observed.Refused, err, "the engine does not accept the order; look at the service's fields")
	case cerrdefs.IsConflict(err):
		return observed.Wrap(op, ref, observed.Conflict, err, "")
	case cerrdefs.IsPermissionDenied(err):
		return observed.Wrap(op, ref, observed.Refused, err, "look at the rights on "+r.host)
	}
	return observed.Wrap(op, ref, observed.Transient, err, "")
}

// engineGone says that the engine could not be reached, or went away while it
// was asked.
func engineGone(err error) bool {
	var op *net.OpError
	return client.IsErrConnectionFailed(err) || errors.As(err, &op) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func refused(op, ref, text, hint string) error {
	return &observed.Problem{Op: op, Ref: ref, Class: observed.Refused, Text: text, Hint: hint}
}

func conflict(op, ref, text string) error {
	return &observed.Problem{Op: op, Ref: ref, Class: observed.Conflict, Text: text}
}

func foreign(op, ref, name string) error {
	return refused(op, ref, name+" is there and is not ours: it lacks this fleet's and node's labels",
		"rename or remove it if nobody needs it: docker inspect "+name)
}
