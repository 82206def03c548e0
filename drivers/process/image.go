package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// image is what a reference by digest turned out to be, once all of it is here.
type image struct {
	Digest   string    `json:"digest"`   // the one the plan names: of an index, or of a manifest
	Manifest string    `json:"manifest"` // digest of this platform's manifest
	Layers   []string  `json:"layers"`   // digests, lowest first
	Config   v1.Config `json:"config"`
	// Unpacked is what layers took of the disk when they were unpacked, in bytes
	// by digest. Those unpacked before this was written down are not in it.
	Unpacked map[string]int64 `json:"unpacked,omitempty"`
}

// root is the image's folder below roots/.
func (i *image) root() string { return fileName(i.Manifest) }

// fileName is a digest as a file's name.
func fileName(digest string) string { return strings.Replace(digest, ":", "-", 1) }

// digestOf returns the digest of repository[:tag]@sha256:….
func digestOf(ref string) (string, error) {
	_, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return "", fmt.Errorf("image %q has no digest", ref)
	}
	h, err := v1.NewHash(digest)
	if err != nil || h.Algorithm != "sha256" {
		return "", fmt.Errorf("image %q: %q is no sha256 digest", ref, digest)
	}
	return h.String(), nil
}

// image reads the record of a digest; os.ErrNotExist if it is not here whole.
func (r *Runtime) image(digest string) (*image, error) {
	var i image
	if err := readJSON(r.path(imagesDir, fileName(digest)+".json"), &i); err != nil {
		return nil, err
	}
	if there, err := exists(r.path(rootsDir, i.root())); err != nil {
		return nil, err
	} else if !there {
		return nil, fmt.Errorf("unpacked image %s: %w", i.Manifest, os.ErrNotExist)
	}
	return &i, nil
}

// Present implements drivers.Runtime.
func (r *Runtime) Present(_ context.Context, ref string) (bool, error) {
	digest, err := digestOf(ref)
	if err != nil {
		return false, observed.Wrap("inspect", ref, observed.Refused, err, "")
	}
	_, err = r.image(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, observed.Wrap("inspect", ref, observed.Environment, err, "")
	}
	return true, nil
}
