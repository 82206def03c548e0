package process

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Prune implements drivers.Runtime. Images an instance was made from stay, also
// those of a stopped one and of another owner in the same root: its layer
// means nothing without them. Of tenants nothing can be left but instances,
// and those are removed by Remove alone.
func (r *Runtime) Prune(ctx context.Context, keep []string, _ []string) error {
	kept := map[string]bool{}
	for _, ref := range keep {
		digest, err := digestOf(ref)
		if err != nil {
			return observed.Wrap("prune", ref, observed.Refused, err, "")
		}
		kept[digest] = true
	}
	// Never while an image is on its way: the next time does as well.
	if r.images.TryLock() {
		err := r.prune(ctx, kept)
		r.images.Unlock()
		if err != nil {
			return observed.Wrap("prune", "images", observed.Environment, err, "")
		}
	}
	if err := r.sweep(); err != nil {
		return observed.Wrap("prune", "temporary files", observed.Environment, err, "")
	}
	return nil
}

func (r *Runtime) prune(ctx context.Context, kept map[string]bool) error {
	// Roots and blobs that are needed; by file name, as they lie there.
	needed := map[string]bool{}
	if err := r.inUse(kept, needed); err != nil {
		return err
	}
	records, err := os.ReadDir(r.path(imagesDir))
	if err != nil {
		return err
	}
	for _, e := range records {
		var i image
		file := r.path(imagesDir, e.Name())
		if err := readJSON(file, &i); err != nil {
			return err
		}
		if !kept[i.Digest] {
			// The record first: an image that is not whole has none.
			if err := os.Remove(file); err != nil {
				return err
			}
			r.log.Info("prune", "image", i.Digest)
			continue
		}
		needed[i.root()] = true
		for _, l := range i.Layers {
			needed[fileName(l)] = true
		}
	}
	if err := syncDir(r.path(imagesDir)); err != nil {
		return err
	}
	for _, dir := range []string{rootsDir, blobsDir} {
		entries, err := os.ReadDir(r.path(dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if needed[e.Name()] {
				continue
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := r.discard(r.path(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// inUse adds what instances were made from.
func (r *Runtime) inUse(kept, needed map[string]bool) error {
	dirs, err := os.ReadDir(r.path(instancesDir))
	if err != nil {
		return err
	}
	for _, e := range dirs {
		if _, ok := keyOf(e.Name()); !ok {
			continue
		}
		o, err := readOrder(r.path(instancesDir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // foreign, or removed just now
		}
		if err != nil {
			return fmt.Errorf("%w (nothing is pruned while an instance cannot be read)", err)
		}
		kept[o.Image], needed[o.Run.Lower] = true, true
	}
	return nil
}
