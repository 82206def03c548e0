// Package images makes small container images out of one static binary and keeps
// them in an OCI registry inside this process, for tests, benchmarks and the demo.
package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Registry is an OCI registry on loopback, plain HTTP.
type Registry struct {
	Addr string // host:port
	srv  *http.Server
	l    net.Listener

	mu     sync.Mutex          // guards layers
	layers map[string]v1.Layer // of binaries alone: images of many versions share one
}

// NewRegistry serves a registry at addr; "127.0.0.1:0" takes a free port.
func NewRegistry(addr string) (*Registry, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("start registry: %w", err)
	}
	r := &Registry{
		Addr: l.Addr().String(), l: l,
		srv: &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))},
	}
	go r.srv.Serve(l)
	return r, nil
}

// Close ends the registry; what it held is gone.
func (r *Registry) Close() error { return r.srv.Close() }

// Spec is an image to be made.
type Spec struct {
	// Binary is the path of a static binary; it becomes /serve and the
	// entrypoint.
	Binary string
	// Env is put into the image's configuration, sorted by name.
	Env map[string]string
	Cmd []string
	// Architecture is this machine's if "".
	Architecture string
	// Healthcheck gives the image one of its own, which asks /health every
	// half second.
	Healthcheck bool
	// Files are added, by path and content.
	Files map[string]string
}

// Push makes the image, pushes it as repo:tag, and returns
// ADDR/repo:tag@sha256:….
func (r *Registry) Push(ctx context.Context, repo, tag string, s Spec) (string, error) {
	l, err := r.layer(s)
	if err != nil {
		return "", fmt.Errorf("make image: %w", err)
	}
	img, err := around(l, s)
	if err != nil {
		return "", fmt.Errorf("make image: %w", err)
	}
	ref, err := name.NewTag(r.Addr+"/"+repo+":"+tag, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("push image: %w", err)
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	d, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return ref.String() + "@" + d.String(), nil
}

// layer is the layer of a Spec, compressed once for each binary there is.
func (r *Registry) layer(s Spec) (v1.Layer, error) {
	info, err := os.Stat(s.Binary)
	if err != nil || len(s.Files) > 0 {
		return layer(s)
	}
	key := fmt.Sprint(s.Binary, info.Size(), info.ModTime())
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.layers[key]; l != nil {
		return l, nil
	}
	l, err := layer(s)
	if err != nil {
		return nil, err
	}
	if r.layers == nil {
		r.layers = map[string]v1.Layer{}
	}
	r.layers[key] = l
	return l, nil
}

// Make builds the image. The same Spec gives the same digest.
func Make(s Spec) (v1.Image, error) {
	l, err := layer(s)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	img, err := around(l, s)
	if err != nil {
		return nil, fmt.Errorf("make image: %w", err)
	}
	return img, nil
}

// around makes the image of a Spec around its layer.
func around(layer v1.Layer, s Spec) (v1.Image, error) {
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	if s.Architecture != "" {
		file.Architecture = s.Architecture
	}
	file.Config.Entrypoint = []string{"/serve"}
	file.Config.Cmd = s.Cmd
	for k, v := range s.Env {
		file.Config.Env = append(file.Config.Env, k+"="+v)
	}
	slices.Sort(file.Config.Env)
	if s.Healthcheck {
		file.Config.Healthcheck = &v1.HealthConfig{
			Test:     []string{"CMD", "/serve", "check", "/health"},
			Interval: 500 * time.Millisecond, Timeout: 2 * time.Second, Retries: 3,
		}
	}
	return mutate.ConfigFile(img, file)
}

func layer(s Spec) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(name string, mode int64, content []byte) error {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	binary, err := os.ReadFile(s.Binary)
	if err != nil {
		return nil, err
	}
	if err := add("serve", 0o755, binary); err != nil {
		return nil, err
	}
	// A place for volumes and temporary files, as images commonly have.
	for _, dir := range []string{"tmp/", "data/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o1777}); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(s.Files))
	for name := range s.Files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := add(name, 0o644, []byte(s.Files[name])); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b := buf.Bytes()
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
		tarball.WithCompressedCaching, tarball.WithCompressionLevel(gzip.BestSpeed))
}

// BuildServe builds the test application into dir and returns its path. It runs
// the go command, so it works where the module's source is.
func BuildServe(ctx context.Context, dir string) (string, error) {
	out := filepath.Join(dir, "serve")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "github.com/gitops-fleet/reconcile/drivers/drivertest/serve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build serve: %w\n%s", err, b)
	}
	return out, nil
}
