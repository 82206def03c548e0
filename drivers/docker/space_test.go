package docker

import (
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/system"
)

func TestNewest(t *testing.T) {
	all := []image.Summary{
		{ID: "old", Created: 10, Size: 900, RepoDigests: []string{"reg:5000/shop@sha256:" + hex64("1")}},
		{ID: "new", Created: 30, Size: 500, RepoDigests: []string{"reg:5000/shop@sha256:" + hex64("2")}},
		{ID: "twin", Created: 30, Size: 400, RepoTags: []string{"reg:5000/shop:1"}},
		{ID: "other", Created: 90, Size: 1, RepoDigests: []string{"reg:5000/shop/web@sha256:" + hex64("3")}},
		{ID: "dangling", Created: 99, Size: 2, RepoDigests: []string{"<none>@<none>"}, RepoTags: []string{"<none>:<none>"}},
		{ID: "hub", Created: 1, Size: 3, RepoDigests: []string{"nginx@sha256:" + hex64("4")}},
	}
	for repo, want := range map[string]string{
		"reg:5000/shop": "new", "reg:5000/shop/web": "other", "reg:5000/nobody": "",
		"docker.io/library/nginx": "hub", "nginx": "hub",
	} {
		of, err := name.NewRepository(repo, name.WeakValidation)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if last := newest(all, of); last != nil {
			got = last.ID
		}
		if got != want {
			t.Errorf("the newest of %s is %q, want %q", repo, got, want)
		}
	}
}

func hex64(digit string) (s string) {
	for range 64 {
		s += digit
	}
	return s
}

func TestImagesDir(t *testing.T) {
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	unix, snapshots := "unix:///run/docker.sock", [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}}
	at := func(address string) system.Info {
		return system.Info{Name: here, DockerRootDir: "/data", DriverStatus: snapshots, Containerd: &system.ContainerdInfo{Address: address}}
	}
	for what, c := range map[string]struct {
		host string
		info system.Info
		want string
	}{
		"here":                               {unix, system.Info{Name: here, DockerRootDir: "/data"}, "/data"},
		"behind a forwarded socket":          {unix, system.Info{Name: here + "x", DockerRootDir: "/data"}, ""},
		"over the network":                   {"tcp://127.0.0.1:2375", system.Info{Name: here, DockerRootDir: "/data"}, ""},
		"that does not say":                  {unix, system.Info{Name: here}, ""},
		"with the system's containerd":       {unix, at("/run/containerd/containerd.sock"), "/var/lib/containerd"},
		"with a containerd of its own":       {unix, at("/var/run/docker/containerd/containerd.sock"), "/data"},
		"with another's containerd":          {unix, at("/run/k3s/containerd/containerd.sock"), ""},
		"with a containerd it does not tell": {unix, system.Info{Name: here, DockerRootDir: "/data", DriverStatus: snapshots}, ""},
	} {
		if got := (&Runtime{host: c.host}).imagesDir(c.info); got != c.want {
			t.Errorf("an engine %s keeps images in %q, want %q", what, got, c.want)
		}
	}
}
