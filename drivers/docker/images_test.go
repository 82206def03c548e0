package docker_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
)

// testbed is the registry with the test images, made once.
type testbed struct {
	registry *images.Registry
	refs     map[drivertest.Image]string
	index    string    // an index for this platform and another
	foreign  string    // an index for another platform only
	builds   [2]string // of one repository
}

var theTestbed = sync.OnceValues(makeTestbed)

func bed(t testing.TB) *testbed {
	t.Helper()
	b, err := theTestbed()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plain is Serve without a healthcheck, whose runs would load the machine.
const plain drivertest.Image = "plain"

// serveImage is the reference of the image most tests run.
func serveImage(t testing.TB) string { return bed(t).refs[plain] }

func makeTestbed() (*testbed, error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "docker-serve-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin, err := images.BuildServe(ctx, dir)
	if err != nil {
		return nil, err
	}
	reg, err := images.NewRegistry("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	none := "@sha256:" + strings.Repeat("0123456789abcdef", 4)
	b := &testbed{registry: reg, refs: map[drivertest.Image]string{
		drivertest.Missing:     reg.Addr + "/serve" + none,
		drivertest.Unreachable: "127.0.0.1:1/serve" + none,
	}}
	for kind, s := range map[drivertest.Image]images.Spec{
		drivertest.Serve:         {Healthcheck: true, Env: map[string]string{"VERSION": "v1"}},
		drivertest.Serve2:        {Healthcheck: true, Env: map[string]string{"VERSION": "v2"}},
		plain:                    {Env: map[string]string{"VERSION": "plain"}},
		drivertest.Exit0:         {Cmd: []string{"exit", "0"}},
		drivertest.Exit3:         {Cmd: []string{"exit", "3"}},
		drivertest.OtherPlatform: {Architecture: other},
	} {
		s.Binary = bin
		if b.refs[kind], err = reg.Push(ctx, strings.ToLower(string(kind)), "1", s); err != nil {
			return nil, err
		}
	}
	for i := range b.builds {
		s := images.Spec{Binary: bin, Files: map[string]string{"etc/build": fmt.Sprint(i)}}
		if b.builds[i], err = reg.Push(ctx, "builds", fmt.Sprint(i), s); err != nil {
			return nil, err
		}
	}
	if b.index, err = b.pushIndex("both", bin, runtime.GOARCH, other); err != nil {
		return nil, err
	}
	b.foreign, err = b.pushIndex("foreign", bin, other)
	return b, err
}

func (b *testbed) pushIndex(repo, bin string, archs ...string) (string, error) {
	index := v1.ImageIndex(empty.Index)
	for _, arch := range archs {
		img, err := images.Make(images.Spec{Binary: bin, Architecture: arch})
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	digest, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("make index %s: %w", repo, err)
	}
	ref := b.registry.Addr + "/" + repo + "@" + digest.String()
	to, err := name.ParseReference(ref)
	if err == nil {
		err = remote.WriteIndex(to, index)
	}
	if err != nil {
		return "", fmt.Errorf("push index %s: %w", repo, err)
	}
	return ref, nil
}
