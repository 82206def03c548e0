package process_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/drivers/room"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// smallHost is a host whose images are on a disk of so many MiB.
func smallHost(t *testing.T, mib int, keepFree int64) (rt *process.Runtime, disk string) {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("a small disk can be mounted by root alone")
	}
	disk = t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Fatalf("mount %s: %v", disk, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", disk, err)
		}
	})
	root := filepath.Join(disk, "run")
	hostWith(t, root, process.Limits{})
	rt, err := process.New(process.Config{Root: root, Owner: drivers.Owner{Fleet: "test", Node: "here"}, KeepFree: keepFree})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt, disk
}

// leave fills a disk until so much is free, and returns what makes room again.
func leave(t *testing.T, disk string, want int64) (room func()) {
	t.Helper()
	file := filepath.Join(disk, "filler")
	free := freeOn(t, disk)
	if err := os.WriteFile(file, make([]byte, free-want), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := freeOn(t, disk); got > want || got < want-64<<10 {
		t.Fatalf("%d bytes are free, not %d", got, want)
	}
	return func() {
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

func freeOn(t *testing.T, disk string) int64 {
	t.Helper()
	free, err := room.Free(disk)
	if err != nil {
		t.Fatal(err)
	}
	return free
}

// noRoom wants a pull to wait for space, told in these words.
func noRoom(t *testing.T, err error, says ...string) {
	t.Helper()
	var p *observed.Problem
	if !errors.As(err, &p) || p.Class != observed.Environment {
		t.Fatalf("%v, want it to wait for space", err)
	}
	said := p.Error() + "\n" + p.Hint
	for _, s := range append(says, "pull ", "goes on by itself") {
		if !strings.Contains(said, s) {
			t.Errorf("it does not say %q, but:\n%s", s, said)
		}
	}
}

const mib = 1 << 20

func mebibytes(t *testing.T, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(mib, layers)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Two layers of 1 MiB, each expected to become 3 MiB, and a floor of 4 MiB.
func TestPullProvesRoom(t *testing.T) {
	for name, c := range map[string]struct {
		free int64
		fits bool
	}{
		"no room":         {6 * mib, false},
		"below the floor": {10 * mib, false},
		"room":            {13 * mib, true},
	} {
		t.Run(name, func(t *testing.T) {
			rt, disk := smallHost(t, 32, 4*mib)
			l := newLiar(t)
			ref := l.push(t, mebibytes(t, 2))
			makeRoom := leave(t, disk, c.free)
			err := rt.Pull(t.Context(), ref, nil)
			if c.fits {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			noRoom(t, err, " free in "+rootOf(t), "12.0 MiB needed: 8.0 MiB for the image (2.0 MiB to fetch, about 6.0 MiB unpacked)",
				"a floor of 4.0 MiB kept free for undoing", "lower keepFree", "du -xh")
			if n := l.times("/blobs/"); n != 1 { // the configuration
				t.Errorf("%d blobs were asked for", n)
			}
			if n := blobNames(t, rootOf(t)); n != "0" {
				t.Errorf("%s layers were kept", n)
			}
			makeRoom()
			if err := rt.Pull(t.Context(), ref, nil); err != nil {
				t.Errorf("with room: %v", err)
			}
		})
	}
}

// Layers that are here cost no second fetch, and it is known what they unpack to.
func TestPullProvesRoomForWhatIsMissing(t *testing.T) {
	rt, disk := smallHost(t, 32, 4*mib)
	l := newLiar(t)
	base := mebibytes(t, 3)
	one := l.push(t, base)
	before := freeOn(t, disk)
	if err := rt.Pull(t.Context(), one, nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("3 MiB of layers took %d KiB", (before-freeOn(t, disk))>>10)
	extra, err := random.Layer(4<<10, "application/vnd.docker.image.rootfs.diff.tar.gzip")
	if err != nil {
		t.Fatal(err)
	}
	next, err := mutate.AppendLayers(base, extra)
	if err != nil {
		t.Fatal(err)
	}
	two := l.push(t, next)
	makeRoom := leave(t, disk, 4*mib+2*mib)
	noRoom(t, rt.Pull(t.Context(), two, nil), "KiB to fetch, about 3.0 MiB unpacked")
	makeRoom()
	makeRoom = leave(t, disk, 4*mib+7*mib/2)
	if err := rt.Pull(t.Context(), two, nil); err != nil {
		t.Errorf("the layers that are here were counted by a guess: %v", err)
	}
	makeRoom()

	// A second name for what is here takes nothing, however full the disk is.
	makeRoom = leave(t, disk, mib)
	defer makeRoom()
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: base, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}})
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
	if err := rt.Pull(t.Context(), tag.Context().Digest(d.String()).String(), nil); err != nil {
		t.Errorf("another name for an image that is here: %v", err)
	}
}

// An image that unpacks to more than can be known, and a disk that others fill
// meanwhile, are waited for as well.
func TestPullIntoFullDisk(t *testing.T) {
	t.Run("unpacking", func(t *testing.T) {
		rt, disk := smallHost(t, 12, mib)
		l := newLiar(t)
		ref := l.push(t, zeros(t, 16*mib))
		noRoom(t, rt.Pull(t.Context(), ref, nil), "no space left on device", "free some space on the disk of "+rootOf(t))
		if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=32m"); err != nil {
			t.Fatal(err)
		}
		if err := rt.Pull(t.Context(), ref, nil); err != nil {
			t.Errorf("with room: %v", err)
		}
	})
	t.Run("fetching", func(t *testing.T) {
		rt, disk := smallHost(t, 12, mib)
		l := newLiar(t)
		ref := l.push(t, mebibytes(t, 2))
		filler := filepath.Join(disk, "others")
		var once sync.Once
		lie := func(path string, status int, body []byte) (int, []byte) {
			if strings.Contains(path, "/blobs/") && len(body) > mib/2 {
				once.Do(func() { fill(t, filler) })
			}
			return status, body
		}
		l.answer.Store(&lie)
		noRoom(t, rt.Pull(t.Context(), ref, nil), "no space left on device", "free some space on the disk of "+rootOf(t))
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if err := rt.Pull(t.Context(), ref, nil); err != nil {
			t.Errorf("with room: %v", err)
		}
	})
}

// zeros is an image of one file, which compresses well.
func zeros(t *testing.T, size int) v1.Image {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: int64(size)}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Write(make([]byte, size))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	return platform(t, img, runtime.GOARCH)
}

// fill writes a file until nothing more fits.
func fill(t *testing.T, name string) {
	f, err := os.Create(name)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for block := make([]byte, 4<<10); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}
