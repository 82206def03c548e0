package docker

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/room"
)

// claim proves that there is room for an image before the engine fetches it,
// where the disk of the engine's images can be seen from here. The registry is
// not asked for the size, for it counts what it is asked.
func (r *Runtime) claim(ctx context.Context, ref string) (release func(), err error) {
	// An engine behind something that forbids the question tells nothing; one that
	// is down says so to the pull just as well.
	dir := ""
	if got, err := r.cli.Info(ctx, client.InfoOptions{}); err == nil {
		dir = r.imagesDir(got.Info)
	}
	if _, err := room.Free(dir); dir == "" || err != nil {
		return func() {}, nil
	}
	list, err := r.cli.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, err
	}
	want, err := name.NewDigest(reference(ref), name.WeakValidation)
	if err != nil {
		return nil, refused("pull", ref, err.Error(), "pin it: repository@sha256:…")
	}
	size, basis := int64(0), "none of "+want.Context().Name()+" is here to guess by"
	if last := newest(list.Items, want.Context()); last != nil {
		size, basis = last.Size, "the newest of "+want.Context().Name()+" here takes "+drivers.Size(last.Size)
	}
	return r.room.Claim(room.Image{Ref: ref, Dir: dir, Bytes: size, Basis: basis, Usage: "docker system df"})
}

// newest returns the image of a repository that was built last, the best guess
// at what comes next; nil if there is none. Layers the two share cost nothing,
// so the guess is rather too large. Builds that tell no time are told apart by
// size.
func newest(all []image.Summary, repo name.Repository) *image.Summary {
	var last *image.Summary
	for i := range all {
		for _, ref := range slices.Concat(all[i].RepoDigests, all[i].RepoTags) {
			at, err := name.ParseReference(ref, name.WeakValidation)
			if err != nil || at.Context().Name() != repo.Name() {
				continue
			}
			if last == nil || cmp.Or(cmp.Compare(all[i].Created, last.Created), cmp.Compare(all[i].Size, last.Size)) > 0 {
				last = &all[i]
			}
		}
	}
	return last
}

// The sockets of containerd where the engine has the system's, and where it runs
// one of its own (its default exec root), and where the system's keeps images.
// These are defaults: the engine tells the socket and not the folder.
const (
	systemContainerd = "/run/containerd/containerd.sock"
	ownContainerd    = "/var/run/docker/containerd/containerd.sock"
	systemImages     = "/var/lib/containerd"
)

// imagesDir returns the folder in which the engine keeps its images, "" where
// that cannot be known: the engine is on another machine, or its containerd
// keeps them and is neither the system's nor its own.
func (r *Runtime) imagesDir(i system.Info) string {
	here, err := os.Hostname()
	if err != nil || i.Name != here || !strings.HasPrefix(r.host, "unix://") || !filepath.IsAbs(i.DockerRootDir) {
		return ""
	}
	if !slices.Contains(i.DriverStatus, [2]string{"driver-type", "io.containerd.snapshotter.v1"}) {
		return i.DockerRootDir
	}
	address := ""
	if i.Containerd != nil {
		address = i.Containerd.Address
	}
	switch address {
	case systemContainerd, "/var" + systemContainerd:
		return systemImages
	case ownContainerd:
		return i.DockerRootDir // below it
	}
	return ""
}
