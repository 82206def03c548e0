package process_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// liar is a registry whose answers a test may change.
type liar struct {
	addr string
	// answer may change a GET's status and body; nil changes nothing.
	answer atomic.Pointer[func(path string, status int, body []byte) (int, []byte)]
	asked  sync.Map // path → *atomic.Int64, of GET
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{}
	real := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			real.ServeHTTP(w, r)
			return
		}
		n, _ := l.asked.LoadOrStore(r.URL.Path, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		rec := httptest.NewRecorder()
		real.ServeHTTP(rec, r)
		status, body := rec.Code, rec.Body.Bytes()
		if f := l.answer.Load(); f != nil {
			status, body = (*f)(r.URL.Path, status, body)
		}
		for k, v := range rec.Header() {
			if k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	t.Cleanup(srv.Close)
	l.addr = strings.TrimPrefix(srv.URL, "http://")
	return l
}

// times is how often a path that holds part was asked for.
func (l *liar) times(part string) int64 {
	var n int64
	l.asked.Range(func(k, v any) bool {
		if strings.Contains(k.(string), part) {
			n += v.(*atomic.Int64).Load()
		}
		return true
	})
	return n
}

// push pushes an image and returns its reference by digest.
func (l *liar) push(t *testing.T, img v1.Image) string {
	t.Helper()
	ref, err := name.NewTag(l.addr + "/x:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return ref.Context().Digest(d.String()).String()
}

func randomImage(t *testing.T, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(4096, layers)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func blobNames(t *testing.T, root string) string {
	entries, err := os.ReadDir(filepath.Join(root, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(len(entries))
}

func TestPullIndex(t *testing.T) {
	rt := host(t)
	l := newLiar(t)
	mine, other := randomImage(t, 2), randomImage(t, 1)
	mine = platform(t, mine, "amd64")
	other = platform(t, other, "s390x")
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}},
		mutate.IndexAddendum{Add: mine, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	tag, err := name.NewTag(l.addr + "/x:index")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	d, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	rt = onAMD64(t, rt)
	ref := tag.Context().Digest(d.String()).String()
	var last drivers.Progress
	if err := rt.Pull(t.Context(), ref, func(p drivers.Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	if last.Total == 0 || last.Done != last.Total {
		t.Errorf("the last word of progress was %+v", last)
	}
	if there, err := rt.Present(t.Context(), ref); err != nil || !there {
		t.Errorf("present: %v, %v", there, err)
	}
	if n := blobNames(t, rootOf(t)); n != "2" {
		t.Errorf("%s layers, want the two of this platform", n)
	}
	// The platform's own digest leads to the same root, and to no more requests.
	md, _ := mine.Digest()
	before := l.times("/blobs/")
	if err := rt.Pull(t.Context(), tag.Context().Digest(md.String()).String(), nil); err != nil {
		t.Fatal(err)
	}
	if now := l.times("/blobs/"); now != before+1 { // the configuration
		t.Errorf("%d more blobs were asked for", now-before)
	}
	only := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: other, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}})
	if err := remote.WriteIndex(tag, only); err != nil {
		t.Fatal(err)
	}
	d, _ = only.Digest()
	err = rt.Pull(t.Context(), tag.Context().Digest(d.String()).String(), nil)
	if observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), "linux/s390x") {
		t.Errorf("an index without this platform: %v", err)
	}
}

// onAMD64 is the same host as another process sees it, wherever the test runs.
func onAMD64(t *testing.T, _ *process.Runtime) *process.Runtime {
	t.Helper()
	rt, err := process.New(process.Config{Root: rootOf(t), Owner: drivers.Owner{Fleet: "test", Node: "here"}, Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt
}

func platform(t *testing.T, img v1.Image, arch string) v1.Image {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", arch
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	return img
}

// What a lower layer brings is fetched once, however many images have it.
func TestPullSharesLayers(t *testing.T) {
	rt := host(t)
	l := newLiar(t)
	base := randomImage(t, 3)
	extra, err := random.Layer(1024, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	if err != nil {
		t.Fatal(err)
	}
	next, err := mutate.AppendLayers(base, extra)
	if err != nil {
		t.Fatal(err)
	}
	one, two := l.push(t, base), l.push(t, next)
	if err := rt.Pull(t.Context(), one, nil); err != nil {
		t.Fatal(err)
	}
	before := l.times("/blobs/")
	if err := rt.Pull(t.Context(), two, nil); err != nil {
		t.Fatal(err)
	}
	if n := l.times("/blobs/") - before; n != 2 { // a configuration and a layer
		t.Errorf("%d blobs were asked for, want 2", n)
	}
	if err := rt.Prune(t.Context(), []string{two}, nil); err != nil {
		t.Fatal(err)
	}
	if n := blobNames(t, rootOf(t)); n != "4" {
		t.Errorf("after a prune %s layers are here, want 4", n)
	}
}

func TestPullDistrusts(t *testing.T) {
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	answer := func(on string, f func(status int, body []byte) (int, []byte)) func(string, int, []byte) (int, []byte) {
		return func(path string, status int, body []byte) (int, []byte) {
			if strings.Contains(path, on) {
				return f(status, body)
			}
			return status, body
		}
	}
	for _, c := range []struct {
		name  string
		lie   func(string, int, []byte) (int, []byte)
		class observed.Class
	}{
		{"manifest changed", answer("/manifests/", func(s int, b []byte) (int, []byte) { return s, flip(b) }), observed.Environment},
		{"manifest of another image", answer("/manifests/", func(s int, b []byte) (int, []byte) {
			return s, []byte(`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[]}`)
		}), observed.Environment},
		{"blobs changed", answer("/blobs/", func(s int, b []byte) (int, []byte) { return s, flip(b) }), observed.Environment},
		{"blobs cut", answer("/blobs/", func(s int, b []byte) (int, []byte) { return s, b[:len(b)/2] }), observed.Environment},
		{"blobs longer", answer("/blobs/", func(s int, b []byte) (int, []byte) { return s, append(bytes.Clone(b), 0) }), observed.Environment},
		{"denied", answer("/manifests/", func(int, []byte) (int, []byte) { return 401, nil }), observed.Refused},
		{"forbidden", answer("/blobs/", func(int, []byte) (int, []byte) { return 403, nil }), observed.Refused},
		{"busy", answer("/manifests/", func(int, []byte) (int, []byte) { return 429, nil }), observed.Environment},
		{"broken", answer("/blobs/", func(int, []byte) (int, []byte) { return 500, nil }), observed.Environment},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := host(t)
			l := newLiar(t)
			ref := l.push(t, randomImage(t, 2))
			l.answer.Store(&c.lie)
			err := rt.Pull(t.Context(), ref, nil)
			if err == nil {
				t.Fatal("no error")
			}
			t.Log(err)
			if got := observed.ClassOf(err); got != c.class {
				t.Errorf("class %s, want %s", got, c.class)
			}
			if there, err := rt.Present(t.Context(), ref); there || err != nil {
				t.Errorf("present: %v, %v", there, err)
			}
			l.answer.Store(nil)
			if err := rt.Pull(t.Context(), ref, nil); err != nil {
				t.Errorf("once the registry is honest again: %v", err)
			}
		})
	}
}

// A layer that goes bad on this host's disk is fetched again.
func TestPullMendsBlob(t *testing.T) {
	rt := host(t)
	l := newLiar(t)
	ref := l.push(t, randomImage(t, 1))
	if err := rt.Pull(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	root := rootOf(t)
	blobs, err := filepath.Glob(filepath.Join(root, "blobs", "*"))
	if err != nil || len(blobs) != 1 {
		t.Fatal(blobs, err)
	}
	b, err := os.ReadFile(blobs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(blobs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"images", "roots"} {
		if err := os.Rename(filepath.Join(root, dir), filepath.Join(t.TempDir(), dir)); err != nil {
			t.Fatal(err)
		}
	}
	rt = newRuntime(t, root, process.Limits{})
	if err := rt.Pull(t.Context(), ref, nil); observed.ClassOf(err) != observed.Transient {
		t.Errorf("%v, want it transient", err)
	}
	if err := rt.Pull(t.Context(), ref, nil); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestPullCredentials(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home)
	real := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, ok := r.BasicAuth(); !ok || user != "me" || pass != "pass" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		real.ServeHTTP(w, r)
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	tag, err := name.NewTag(addr + "/x:1")
	if err != nil {
		t.Fatal(err)
	}
	img := randomImage(t, 1)
	if err := remote.Write(tag, img, remote.WithAuth(&authn.Basic{Username: "me", Password: "pass"})); err != nil {
		t.Fatal(err)
	}
	d, _ := img.Digest()
	ref := tag.Context().Digest(d.String()).String()
	rt := host(t)
	if err := rt.Pull(t.Context(), ref, nil); observed.ClassOf(err) != observed.Refused {
		t.Errorf("without credentials: %v, want it refused", err)
	}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{addr: map[string]string{"username": "me", "password": "pass"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rt.Pull(t.Context(), ref, nil); err != nil {
		t.Errorf("with the credentials docker login keeps: %v", err)
	}
}

// One pull of many callers is one pull, and who gives up does not end it for others.
func TestPullTogether(t *testing.T) {
	rt := host(t)
	l := newLiar(t)
	ref := l.push(t, randomImage(t, 3))
	first, cancel := context.WithCancel(t.Context())
	var once sync.Once
	lie := func(path string, status int, body []byte) (int, []byte) {
		if strings.Contains(path, "/blobs/") {
			once.Do(cancel)
		}
		return status, body
	}
	l.answer.Store(&lie)
	var all sync.WaitGroup
	all.Go(func() {
		if err := rt.Pull(first, ref, nil); err == nil {
			t.Log("the first was done before it gave up")
		}
	})
	for range 4 {
		all.Go(func() {
			if err := rt.Pull(t.Context(), ref, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if there, err := rt.Present(t.Context(), ref); !there || err != nil {
		t.Errorf("present: %v, %v", there, err)
	}
}
