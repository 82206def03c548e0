package docker_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/gitops-fleet/reconcile/drivers/drivertest"
)

// images are the test images in a registry of the test process, built once.
type images struct {
	server *httptest.Server
	host   string
	refs   map[drivertest.Image]string
}

var testImages = sync.OnceValues(buildImages)

func theImages(t testing.TB) *images {
	t.Helper()
	i, err := testImages()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *images) ref(t *testing.T, kind drivertest.Image) string { return i.refs[kind] }

func buildImages() (*images, error) {
	layer, err := serveLayer()
	if err != nil {
		return nil, err
	}
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	i := &images{server: s, host: strings.TrimPrefix(s.URL, "http://"), refs: map[drivertest.Image]string{}}
	serve := []string{"/serve"}
	check := &v1.HealthConfig{Test: []string{"CMD", "/serve", "check"}, Interval: 200 * time.Millisecond, Timeout: time.Second, Retries: 2}
	for kind, c := range map[drivertest.Image]v1.Config{
		drivertest.Serve:  {Entrypoint: serve, Healthcheck: check, Env: []string{"VERSION=v1", "PORT=8080"}},
		drivertest.Serve2: {Entrypoint: serve, Healthcheck: check, Env: []string{"VERSION=v2", "PORT=8080"}},
		drivertest.Exit0:  {Entrypoint: []string{"/serve", "exit"}, Cmd: []string{"0"}},
		drivertest.Exit3:  {Entrypoint: []string{"/serve", "exit"}, Cmd: []string{"3"}},
	} {
		ref, err := i.push(string(kind), layer, runtime.GOARCH, c)
		if err != nil {
			return nil, err
		}
		i.refs[kind] = ref
	}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	if i.refs[drivertest.OtherPlatform], err = i.push("other", layer, other, v1.Config{Entrypoint: serve}); err != nil {
		return nil, err
	}
	none := "@sha256:" + strings.Repeat("0123456789abcdef", 4)
	i.refs[drivertest.Missing] = i.host + "/serve" + none
	i.refs[drivertest.Unreachable] = "127.0.0.1:1/serve" + none
	return i, nil
}

// push makes an image of one layer and an index of it, and returns the
// reference of the index.
func (i *images) push(repo string, layer v1.Layer, arch string, c v1.Config) (string, error) {
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err == nil {
		img, err = mutate.ConfigFile(img, withConfig(img, arch, c))
	}
	if err != nil {
		return "", fmt.Errorf("build image %s: %w", repo, err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
	})
	digest, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("build image %s: %w", repo, err)
	}
	ref := i.host + "/" + strings.ToLower(repo) + "@" + digest.String()
	to, err := name.ParseReference(ref)
	if err == nil {
		err = remote.WriteIndex(to, index)
	}
	if err != nil {
		return "", fmt.Errorf("push image %s: %w", repo, err)
	}
	return ref, nil
}

func withConfig(img v1.Image, arch string, c v1.Config) *v1.ConfigFile {
	cf, _ := img.ConfigFile() // of an image in memory
	cf = cf.DeepCopy()
	cf.OS, cf.Architecture, cf.Config = "linux", arch, c
	return cf
}

// serveLayer holds the static program, a /tmp and a user.
func serveLayer() (v1.Layer, error) {
	dir, err := os.MkdirTemp("", "docker-serve-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "serve")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./testdata/serve")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build serve: %w: %s", err, out)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []struct {
		tar.Header
		content []byte
	}{
		{tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}, nil},
		{tar.Header{Name: "serve", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))}, program},
	} {
		if err := w.WriteHeader(&h.Header); err != nil {
			return nil, err
		}
		w.Write(h.content)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
}
