package process

import (
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/room"
)

const (
	// block is what file systems give space in, on almost every host.
	block = 4096
	// growth is how many times its compressed size a layer is expected to take
	// unpacked, where nothing better is known: a manifest does not say. Of Debian
	// 12, programs (/usr/bin) take 2.75 times their gzip, shared libraries 3.0 times,
	// Python's own library 3.8 times; images are mostly of the first two. A wrong
	// guess is no accident: the floor is there for it, and a disk that fills up in
	// the middle is waited for just as well.
	growth = 3
	// largest is more than a layer can have, and small enough to be added up.
	largest = 1 << 53
)

// claim proves that there is room for what an image still lacks here, before any
// of its layers is fetched. Both are kept: the layers as they came, shared by
// all images, and each image unpacked, which shares nothing.
func (r *Runtime) claim(ref string, i image, layers []v1.Descriptor) (release func(), err error) {
	there, err := exists(r.path(rootsDir, i.root()))
	if err != nil {
		return nil, err
	}
	known := r.unpackedSizes()
	var fetch, unpack int64
	about, seen := "", map[v1.Hash]bool{}
	for _, l := range layers {
		if l.Size < 0 {
			return nil, refusal("its manifest says that layer %s has %d bytes", l.Digest, l.Size)
		}
		size := min(l.Size, largest)
		here, err := exists(r.path(blobsDir, fileName(l.Digest.String())))
		if err != nil {
			return nil, err
		}
		if !here && !seen[l.Digest] {
			fetch += size
		}
		seen[l.Digest] = true
		switch took, ok := known[l.Digest.String()]; {
		case there:
		case ok:
			unpack += took
		case uncompressed(l.MediaType):
			unpack += size
		default:
			unpack += growth * size
			about = "about "
		}
	}
	if fetch+unpack == 0 {
		return func() {}, nil
	}
	return r.room.Claim(room.Image{
		Ref: ref, Dir: r.cfg.Root, Bytes: fetch + unpack, Usage: "du -xh --max-depth 3 " + r.cfg.Root,
		Basis: fmt.Sprintf("%s to fetch, %s%s unpacked", drivers.Size(fetch), about, drivers.Size(unpack)),
	})
}

// unpackedSizes are what layers took of the disk in images that are here. A
// record that cannot be read is as good as none: it is a guess that is made better.
func (r *Runtime) unpackedSizes() map[string]int64 {
	sizes := map[string]int64{}
	records, _ := os.ReadDir(r.path(imagesDir))
	for _, e := range records {
		var i image
		if readJSON(r.path(imagesDir, e.Name()), &i) != nil {
			continue
		}
		for digest, size := range i.Unpacked {
			sizes[digest] = size
		}
	}
	return sizes
}

// uncompressed says whether a layer is fetched as the plain archive.
func uncompressed(t types.MediaType) bool {
	return t == types.OCIUncompressedLayer || t == types.OCIUncompressedRestrictedLayer || t == types.DockerUncompressedLayer
}
