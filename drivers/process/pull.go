package process

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// documentLimit bounds an index, a manifest and a configuration; it is what
// registries commonly accept at most.
const documentLimit = 4 << 20

// Pull implements drivers.Runtime. What is already here, down to single layers,
// is not asked for again; the same digest is pulled once at a time.
func (r *Runtime) Pull(ctx context.Context, ref string, progress func(drivers.Progress)) error {
	if there, err := r.Present(ctx, ref); there || err != nil {
		return err
	}
	digest, err := digestOf(ref)
	if err != nil {
		return observed.Wrap("pull", ref, observed.Refused, err, "")
	}
	for {
		done := r.pulls.DoChan(digest, func() (any, error) { return nil, r.pull(ctx, ref, digest, progress) })
		select {
		case res := <-done:
			// One who waited for another's pull does not share the end of its context.
			if res.Shared && res.Err != nil && ctx.Err() == nil &&
				(errors.Is(res.Err, context.Canceled) || errors.Is(res.Err, context.DeadlineExceeded)) {
				continue
			}
			return res.Err
		case <-ctx.Done():
			return late(ctx, "pull", ref)
		}
	}
}

func (r *Runtime) pull(ctx context.Context, ref, digest string, progress func(drivers.Progress)) error {
	r.images.RLock()
	defer r.images.RUnlock()
	fail := func(err error) error { return r.pullProblem(ctx, ref, err) }
	at, err := name.NewDigest(ref)
	if err != nil {
		return observed.Wrap("pull", ref, observed.Refused, err, "")
	}
	options := r.remote(ctx)
	got, err := remote.Get(at, options...)
	if err != nil {
		return fail(err)
	}
	if err := verify(got.Manifest, digest); err != nil {
		return fail(fmt.Errorf("manifest: %w", err))
	}
	if got.MediaType.IsIndex() {
		child, err := r.choose(got.Manifest)
		if err != nil {
			return fail(err)
		}
		if got, err = remote.Get(at.Context().Digest(child.String()), options...); err != nil {
			return fail(err)
		}
		if err := verify(got.Manifest, child.String()); err != nil {
			return fail(fmt.Errorf("platform manifest: %w", err))
		}
	}
	if !got.MediaType.IsImage() {
		return fail(refusal("it is no image but %s", got.MediaType))
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(got.Manifest))
	if err != nil {
		return fail(refusal("manifest: %w", err))
	}
	img, err := got.Image()
	if err != nil {
		return fail(err)
	}
	config, err := r.config(img, manifest)
	if err != nil {
		return fail(err)
	}
	if len(manifest.Layers) > r.limits.Layers {
		return fail(refusal("%d layers, the limit is %d", len(manifest.Layers), r.limits.Layers))
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return fail(refusal("its configuration names %d layers, its manifest %d", len(config.RootFS.DiffIDs), len(manifest.Layers)))
	}
	rec := image{Digest: digest, Manifest: sum(got.Manifest), Config: config.Config, Unpacked: map[string]int64{}}
	release, err := r.claim(ref, rec, manifest.Layers)
	if err != nil {
		return fail(err)
	}
	defer release()
	count := newCounter(manifest, ref, progress)
	for _, d := range manifest.Layers {
		rec.Layers = append(rec.Layers, d.Digest.String())
		if err := r.fetch(ctx, img, d, count); err != nil {
			return fail(err)
		}
	}
	if err := r.unpack(ctx, rec, config.RootFS.DiffIDs); err != nil {
		return fail(err)
	}
	if err := writeJSON(r.path(imagesDir, fileName(digest)+".json"), rec); err != nil {
		return fail(err)
	}
	return nil
}

// choose finds this platform's manifest in an index.
func (r *Runtime) choose(index []byte) (v1.Hash, error) {
	m, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil {
		return v1.Hash{}, refusal("index: %w", err)
	}
	var have []string
	for _, d := range m.Manifests {
		if d.Platform == nil || !d.MediaType.IsImage() {
			continue
		}
		if d.Platform.OS == r.cfg.OS && d.Platform.Architecture == r.cfg.Arch {
			return d.Digest, nil
		}
		have = append(have, d.Platform.String())
	}
	return v1.Hash{}, r.wrongPlatform(fmt.Sprintf("%q", have))
}

// config fetches and verifies the image's configuration.
func (r *Runtime) config(img v1.Image, m *v1.Manifest) (*v1.ConfigFile, error) {
	if m.Config.Size > documentLimit {
		return nil, refusal("its configuration has %d bytes, the limit is %d", m.Config.Size, documentLimit)
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	if err := verify(raw, m.Config.Digest.String()); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var c v1.ConfigFile
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, refusal("its configuration: %w", err)
	}
	if c.OS != "" && c.OS != r.cfg.OS || c.Architecture != "" && c.Architecture != r.cfg.Arch {
		return nil, r.wrongPlatform(c.OS + "/" + c.Architecture)
	}
	return &c, nil
}

// fetch makes a layer's blob be here, verified.
func (r *Runtime) fetch(ctx context.Context, img v1.Image, d v1.Descriptor, count *counter) error {
	place := r.path(blobsDir, fileName(d.Digest.String()))
	if there, err := exists(place); err != nil {
		return err
	} else if there {
		count.add(d.Size)
		return nil
	}
	layer, err := img.LayerByDigest(d.Digest)
	if err != nil {
		return err
	}
	body, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer body.Close()
	aside, err := r.aside("blob")
	if err != nil {
		return err
	}
	defer os.Remove(aside)
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h, count), io.LimitReader(body, d.Size+1))
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	switch got := "sha256:" + hex.EncodeToString(h.Sum(nil)); {
	case err != nil:
	case n != d.Size:
		err = fmt.Errorf("layer %s has %d bytes or more, its manifest says %d", d.Digest, n, d.Size)
	case got != d.Digest.String():
		err = fmt.Errorf("layer %s arrived as %s", d.Digest, got)
	default:
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(aside, place); err != nil {
		return err
	}
	return syncDir(filepath.Dir(place))
}

// unpack makes the image's root, aside and then in place. What the layers took
// is put into i.Unpacked.
func (r *Runtime) unpack(ctx context.Context, i image, diffIDs []v1.Hash) error {
	place := r.path(rootsDir, i.root())
	if there, err := exists(place); err != nil || there {
		return err
	}
	aside, err := r.aside("root")
	if err != nil {
		return err
	}
	defer removeTree(aside)
	u, err := newUnpacker(aside, r.limits, r.rooted)
	if err != nil {
		return err
	}
	defer u.close()
	for n, digest := range i.Layers {
		blob, before := r.path(blobsDir, fileName(digest)), u.disk
		if err := u.blob(ctx, blob, digest, diffIDs[n].String()); err != nil {
			if errors.Is(err, errCorrupt) {
				_ = os.Remove(blob) // the next pull fetches it again
			}
			return fmt.Errorf("layer %d (%s): %w", n+1, digest, err)
		}
		i.Unpacked[digest] = u.disk - before
	}
	if err := u.finish(); err != nil {
		return err
	}
	if err := syncTree(aside); err != nil {
		return err
	}
	if err := os.Rename(aside, place); err != nil {
		if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
			return nil // another process was faster, with the same
		}
		return err
	}
	return syncDir(filepath.Dir(place))
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(h[:])
}

func verify(data []byte, digest string) error {
	if len(data) > documentLimit {
		return refusal("%d bytes, the limit is %d", len(data), documentLimit)
	}
	if got := sum(data); got != digest {
		return fmt.Errorf("asked for %s, got %s", digest, got)
	}
	return nil
}

// counter tells a person how far a pull has come.
type counter struct {
	what        string
	done, total int64
	tell        func(drivers.Progress)
}

func newCounter(m *v1.Manifest, what string, tell func(drivers.Progress)) *counter {
	c := &counter{what: what, tell: tell}
	for _, l := range m.Layers {
		c.total += l.Size
	}
	return c
}

func (c *counter) add(n int64) {
	c.done += n
	if c.tell != nil {
		c.tell(drivers.Progress{What: c.what, Done: c.done, Total: c.total})
	}
}

func (c *counter) Write(p []byte) (int, error) {
	c.add(int64(len(p)))
	return len(p), nil
}
