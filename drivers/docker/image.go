package docker

import (
	"context"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
)

// platform is what the engine's host runs.
type platform struct{ os, arch string }

// runs says whether an image is for the platform. An image that does not say
// what it is for is taken for one that fits.
func (p platform) runs(os, arch string) bool {
	return (os == "" || os == p.os) && (arch == "" || arch == p.arch)
}

// enginePlatform asks the engine once.
func (r *Runtime) enginePlatform(ctx context.Context) (platform, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.platform.os != "" {
		return r.platform, nil
	}
	v, err := r.cli.ServerVersion(ctx, client.ServerVersionOptions{})
	if err == nil {
		r.platform = platform{v.Os, v.Arch}
	}
	return r.platform, err
}

// imageOf returns the image the engine has under the reference, nil if none.
func (r *Runtime) imageOf(ctx context.Context, ref string) (*image.InspectResponse, error) {
	got, err := r.cli.ImageInspect(ctx, ref)
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &got.InspectResponse, nil
}

// Present implements drivers.Runtime.
func (r *Runtime) Present(ctx context.Context, ref string) (bool, error) {
	got, err := r.imageOf(ctx, reference(ref))
	if err != nil || got == nil {
		return false, r.problem("inspect", ref, err)
	}
	host, err := r.enginePlatform(ctx)
	if err != nil {
		return false, r.problem("inspect", ref, err)
	}
	return hasDigest(got.RepoDigests, digestOf(ref)) && host.runs(got.Os, got.Architecture), nil
}

// runningImage returns the registry digest of the image a container was made
// from, read back from the image it has. An image may have several, one for
// each repository and index it came from; the ordered one is preferred. One
// that is gone from the engine, or came from no registry, has its id alone.
func (r *Runtime) runningImage(ctx context.Context, c *container.InspectResponse) (string, error) {
	ordered := digestOf(c.Config.Labels[labelImage])
	digests := r.cache.imageDigests(c.Image)
	if !hasDigest(digests, ordered) {
		got, err := r.imageOf(ctx, c.Image)
		if err != nil {
			return "", err
		}
		if got != nil {
			digests = got.RepoDigests
			r.cache.setImageDigests(c.Image, digests)
		}
	}
	switch {
	case hasDigest(digests, ordered):
		return ordered, nil
	case len(digests) > 0:
		return digestOf(slices.Min(digests)), nil
	}
	return c.Image, nil
}

func hasDigest(refs []string, digest string) bool {
	return digest != "" && slices.ContainsFunc(refs, func(ref string) bool { return digestOf(ref) == digest })
}

// digestOf returns the digest of repository@digest, "" if it has none.
func digestOf(ref string) string {
	_, digest, _ := strings.Cut(ref, "@")
	return digest
}
