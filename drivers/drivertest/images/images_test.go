package images_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
)

func TestPush(t *testing.T) {
	bin, err := images.BuildServe(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	reg, err := images.NewRegistry("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	spec := images.Spec{Binary: bin, Env: map[string]string{"VERSION": "1"}}
	ref, err := reg.Push(t.Context(), "hello", "1", spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := reg.Push(t.Context(), "hello", "again", spec)
	if err != nil {
		t.Fatal(err)
	}
	_, d1, _ := strings.Cut(ref, "@")
	_, d2, _ := strings.Cut(again, "@")
	if d1 == "" || d1 != d2 {
		t.Errorf("the same image has the digests %q and %q", d1, d2)
	}
	spec.Env["VERSION"] = "2"
	if other, err := reg.Push(t.Context(), "hello", "2", spec); err != nil || strings.HasSuffix(other, d1) {
		t.Errorf("another version is %s, %v", other, err)
	}
	digest, err := name.NewDigest(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(digest)
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil || file.Config.Entrypoint[0] != "/serve" {
		t.Errorf("config %+v, %v", file, err)
	}
}
