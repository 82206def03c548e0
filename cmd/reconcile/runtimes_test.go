package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// login writes a config.json for a registry, in a place of the host's own choice.
func login(t *testing.T, registry string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registries.json")
	text, err := json.Marshal(map[string]any{"auths": map[string]any{registry: map[string]string{
		"auth": base64.StdEncoding.EncodeToString([]byte("fleet:correct-horse")),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// opened is a runtime as the host's configuration says.
func opened(t *testing.T, name string, set settings) drivers.Runtime {
	t.Helper()
	rt, err := openRuntime(name, set, drivers.Owner{Fleet: "f", Node: "n"}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

// The embedded runtime takes the credentials its configuration names, and says
// when it cannot.
func TestProcessCredentials(t *testing.T) {
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("unpacking an image keeps its owners: run it as root")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	real := ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "fleet" || pass != "correct-horse" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		real.ServeHTTP(w, r)
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	ref := pushed(t, addr)

	var set settings
	set.State = t.TempDir()
	if err := opened(t, "process", set).Pull(t.Context(), ref, nil); observed.ClassOf(err) != observed.Refused {
		t.Errorf("without credentials: %v, want it refused", err)
	}
	set.Drivers.Process.Credentials = filepath.Join(set.State, "missing.json")
	if err := opened(t, "process", set).Pull(t.Context(), ref, nil); observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), "missing.json") {
		t.Errorf("with a file that is not there: %v, want it refused by name", err)
	}
	set.Drivers.Process.Credentials = login(t, addr)
	if err := opened(t, "process", set).Pull(t.Context(), ref, nil); err != nil {
		t.Errorf("with the configured credentials: %v", err)
	}
}

// pushed is a small image in the registry, by its digest.
func pushed(t *testing.T, addr string) string {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(addr + "/x:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img, remote.WithAuth(&authn.Basic{Username: "fleet", Password: "correct-horse"})); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return tag.Context().Digest(digest.String()).String()
}

// The engine is handed the credentials the configuration names with every pull.
func TestDockerCredentials(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	socket := filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var handed atomic.Pointer[string]
	engine := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/_ping"):
			w.Header().Set("Api-Version", "1.47")
		case strings.HasSuffix(r.URL.Path, "/images/create"):
			auth := r.Header.Get("X-Registry-Auth")
			handed.Store(&auth)
			http.Error(w, `{"message":"enough"}`, http.StatusForbidden)
		default:
			http.Error(w, `{"message":"none"}`, http.StatusNotFound)
		}
	})}}
	engine.Start()
	defer engine.Close()

	var set settings
	set.State = t.TempDir()
	set.Drivers.Docker.Host = "unix://" + socket
	set.Drivers.Docker.Credentials = login(t, "registry.example.com")
	ref := "registry.example.com/app@sha256:" + strings.Repeat("0123456789abcdef", 4)
	if err := opened(t, "docker", set).Pull(t.Context(), ref, nil); err == nil {
		t.Fatal("the engine refused it, and nobody says so")
	}
	if handed.Load() == nil {
		t.Fatal("the engine was not asked")
	}
	text, err := base64.URLEncoding.DecodeString(*handed.Load())
	if err != nil {
		t.Fatalf("%q: %v", *handed.Load(), err)
	}
	var auth struct{ Username, Password string }
	if err := json.Unmarshal(text, &auth); err != nil || auth.Username != "fleet" || auth.Password != "correct-horse" {
		t.Errorf("the engine was handed %q, %v", auth.Username, err)
	}
}
