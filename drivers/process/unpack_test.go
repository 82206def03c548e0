package process

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// entry is one entry of a layer, written as a person would say it.
type entry struct {
	name string
	kind byte // 0: a file, or a directory if the name ends in /
	to   string
	text string
	mode int64
	pax  map[string]string
}

func archive(t testing.TB, entries []entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.to, Mode: e.mode, Size: int64(len(e.text)),
			PAXRecords: e.pax, ModTime: time.Unix(1_600_000_000, 0), Uid: os.Getuid(), Gid: os.Getgid()}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if e.kind == 0 && strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		} else if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if e.pax != nil {
			h.Format = tar.FormatPAX
		}
		if err := w.WriteHeader(h); err != nil {
			if strings.Contains(err.Error(), "cannot encode header") {
				continue // no archive can say it
			}
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// fence is a root to unpack into with something beside it that must not move.
func fence(t testing.TB) (root string, untouched func() error) {
	t.Helper()
	top := t.TempDir()
	outside := filepath.Join(top, "outside")
	if err := os.MkdirAll(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := listing(t, outside)
	root = filepath.Join(top, "root")
	t.Cleanup(func() { // what an image forbids its owner, the test's own cleaning cannot remove
		if err := removeTree(root); err != nil {
			t.Error(err)
		}
	})
	return root, func() error {
		if got := listing(t, outside); got != want {
			return fmt.Errorf("outside was %s, is %s", want, got)
		}
		names, err := os.ReadDir(top)
		if err != nil {
			return err
		}
		if len(names) > 2 {
			return fmt.Errorf("beside the root there is %v", names)
		}
		return nil
	}
}

// listing writes a tree down: kind, mode, content.
func listing(t testing.TB, root string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if rel == "." {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		line := rel
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			line += "/"
		case unix.S_IFLNK:
			to, _ := os.Readlink(p)
			line += "->" + to
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += "=" + string(b)
		default:
			line += "?"
		}
		if m := st.Mode & 0o7777; m != 0o755 && m != 0o777 {
			line += fmt.Sprintf("(%o)", m)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func unpackAll(root string, limits Limits, owners bool, layers ...[]byte) error {
	u, err := newUnpacker(root, limits.effective(), owners)
	if err != nil {
		return err
	}
	defer u.close()
	for _, l := range layers {
		if err := u.layer(bytes.NewReader(l)); err != nil {
			return err
		}
	}
	return u.finish()
}

func TestUnpack(t *testing.T) {
	for _, c := range []struct {
		name   string
		layers [][]entry
		want   string
	}{
		{"plain", [][]entry{{{name: "etc/"}, {name: "etc/a", text: "1"}, {name: "b", to: "etc/a", kind: tar.TypeSymlink}}}, "b->etc/a etc/ etc/a=1"},
		{"rooted names", [][]entry{{{name: "/a", text: "1"}, {name: "./b", text: "2"}, {name: "//c//d", text: "3"}}}, "a=1 b=2 c/ c/d=3"},
		{"over a file", [][]entry{{{name: "a", text: "1"}}, {{name: "a", text: "2"}}}, "a=2"},
		{"directory over a file", [][]entry{{{name: "a", text: "1"}}, {{name: "a/"}, {name: "a/b", text: "2"}}}, "a/ a/b=2"},
		{"file over a directory", [][]entry{{{name: "a/"}, {name: "a/b", text: "1"}}, {{name: "a", text: "2"}}}, "a=2"},
		{"directory over a link", [][]entry{{{name: "b/"}, {name: "b/x", text: "1"}, {name: "a", to: "b", kind: tar.TypeSymlink}}, {{name: "a/"}, {name: "a/y", text: "2"}}}, "a/ a/y=2 b/ b/x=1"},
		{"directory again keeps its content", [][]entry{{{name: "a/"}, {name: "a/b", text: "1"}}, {{name: "a/", mode: 0o700}}}, "a/(700) a/b=1"},
		{"through a link", [][]entry{{{name: "usr/lib/"}, {name: "lib", to: "usr/lib", kind: tar.TypeSymlink}}, {{name: "lib/x", text: "1"}}}, "lib->usr/lib usr/ usr/lib/ usr/lib/x=1"},
		{"through an absolute link", [][]entry{{{name: "usr/lib/"}, {name: "lib", to: "/usr/lib", kind: tar.TypeSymlink}}, {{name: "lib/x", text: "1"}}}, "lib->/usr/lib usr/ usr/lib/ usr/lib/x=1"},
		{"whiteout", [][]entry{{{name: "a", text: "1"}, {name: "d/"}, {name: "d/b", text: "1"}}, {{name: ".wh.a"}, {name: ".wh.d"}}}, ""},
		{"whiteout of nothing there", [][]entry{{{name: ".wh.a"}, {name: "x/.wh.b"}}}, ""},
		{"whiteout spares its own layer", [][]entry{{{name: "a", text: "1"}}, {{name: "a", text: "2"}, {name: ".wh.a"}}}, "a=2"},
		{"opaque", [][]entry{{{name: "d/"}, {name: "d/a", text: "1"}, {name: "d/s/"}, {name: "d/s/x", text: "1"}}, {{name: "d/b", text: "2"}, {name: "d/.wh..wh..opq"}, {name: "d/c", text: "3"}}}, "d/ d/b=2 d/c=3"},
		{"opaque spares what is new below", [][]entry{{{name: "d/s/"}, {name: "d/s/old", text: "1"}}, {{name: "d/s/new", text: "2"}, {name: "d/.wh..wh..opq"}}}, "d/ d/s/ d/s/new=2"},
		{"opaque of nothing there", [][]entry{{{name: "d/.wh..wh..opq"}}}, ""},
		{"marks of aufs", [][]entry{{{name: ".wh..wh.plnk"}, {name: "a", text: "1"}}}, "a=1"},
		{"hard link", [][]entry{{{name: "a", text: "1"}, {name: "b", to: "a", kind: tar.TypeLink}}}, "a=1 b=1"},
		{"hard link to a lower layer", [][]entry{{{name: "a", text: "1"}}, {{name: "d/b", to: "/a", kind: tar.TypeLink}}}, "a=1 d/ d/b=1"},
		{"hard link to itself", [][]entry{{{name: "a", text: "1"}, {name: "a", to: "a", kind: tar.TypeLink}}}, "a=1"},
		{"hard link replaced leaves the other", [][]entry{{{name: "a", text: "1"}, {name: "b", to: "a", kind: tar.TypeLink}}, {{name: "b", text: "2"}}}, "a=1 b=2"},
		{"devices are left out", [][]entry{{{name: "sda", kind: tar.TypeBlock}, {name: "null", kind: tar.TypeChar}, {name: "p", kind: tar.TypeFifo}}}, "p?"},
		{"setuid is dropped", [][]entry{{{name: "su", mode: 0o4755, text: "1"}, {name: "sg", mode: 0o2755, text: "2"}, {name: "d/", mode: 0o3777}}}, "d/(3777) sg=2 su=1"},
		{"read-only directory", [][]entry{{{name: "d/", mode: 0o555}, {name: "d/a", text: "1"}}, {{name: "d/b", text: "2"}}}, "d/(555) d/a=1 d/b=2"},
		{"marks of overlayfs", [][]entry{{{name: "a", text: "1", pax: map[string]string{"SCHILY.xattr.user.overlay.redirect": "/x", "SCHILY.xattr.user.mine": "1"}}}}, "a=1"},
		{"link that leads out", [][]entry{{{name: "a", to: "../../outside/secret", kind: tar.TypeSymlink}}}, "a->../../outside/secret"},
		{"through a link that leads out", [][]entry{{{name: "outside/"}, {name: "a", to: "../../outside", kind: tar.TypeSymlink}, {name: "a/x", text: "1"}}}, "a->../../outside outside/ outside/x=1"},
		{"over a link that leads out", [][]entry{{{name: "a", to: "../outside/secret", kind: tar.TypeSymlink}, {name: "a", text: "1"}}}, "a=1"},
		{"mode through a link", [][]entry{{{name: "d/", mode: 0o700}, {name: "d", to: "../outside", kind: tar.TypeSymlink}}}, "d->../outside"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, untouched := fence(t)
			var layers [][]byte
			for _, l := range c.layers {
				layers = append(layers, archive(t, l))
			}
			if err := unpackAll(root, Limits{}, os.Geteuid() == 0, layers...); err != nil {
				t.Fatal(err)
			}
			if got := listing(t, root); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if err := untouched(); err != nil {
				t.Error(err)
			}
		})
	}
}

func isRefused(err error) bool {
	var r refused
	return errors.As(err, &r)
}

func TestUnpackRefuses(t *testing.T) {
	long := strings.Repeat("d/", 60)
	for _, c := range []struct {
		name    string
		limits  Limits
		entries []entry
	}{
		{"upwards", Limits{}, []entry{{name: "../outside/new", text: "1"}}},
		{"upwards within", Limits{}, []entry{{name: "a/../../outside/new", text: "1"}}},
		{"upwards, rooted", Limits{}, []entry{{name: "/../outside/new", text: "1"}}},
		{"upwards to a directory", Limits{}, []entry{{name: "../outside/", mode: 0o777}}},
		{"top is a file", Limits{}, []entry{{name: ".", kind: tar.TypeReg, text: "1"}}},
		{"top is a link", Limits{}, []entry{{name: "./", kind: tar.TypeSymlink, to: "../outside"}}},
		{"hard link out", Limits{}, []entry{{name: "a", kind: tar.TypeLink, to: "../outside/secret"}}},
		{"hard link out, rooted", Limits{}, []entry{{name: "a", kind: tar.TypeLink, to: "/outside/secret"}}},
		{"hard link through a link out", Limits{}, []entry{{name: "d", kind: tar.TypeSymlink, to: "../outside"}, {name: "a", kind: tar.TypeLink, to: "d/secret"}}},
		{"hard link to a directory", Limits{}, []entry{{name: "d/"}, {name: "a", kind: tar.TypeLink, to: "d"}}},
		{"hard link to nothing", Limits{}, []entry{{name: "a", kind: tar.TypeLink, to: "b"}}},
		{"below a file", Limits{}, []entry{{name: "a", text: "1"}, {name: "a/b", text: "2"}}},
		{"below a link out", Limits{}, []entry{{name: "a", kind: tar.TypeSymlink, to: "/outside"}, {name: "a/b", text: "2"}}},
		{"below a ring of links", Limits{}, []entry{{name: "a", kind: tar.TypeSymlink, to: "b"}, {name: "b", kind: tar.TypeSymlink, to: "a"}, {name: "a/c", text: "2"}}},
		{"link to nothing", Limits{}, []entry{{name: "a", kind: tar.TypeSymlink}}},
		{"whiteout of itself", Limits{}, []entry{{name: "d/.wh."}}},
		{"whiteout of its parent", Limits{}, []entry{{name: "d/.wh..."}}},
		{"whiteout of here", Limits{}, []entry{{name: "d/.wh.."}}},
		{"whiteout outside", Limits{}, []entry{{name: "../outside/.wh.secret"}}},
		{"unknown kind", Limits{}, []entry{{name: "a", kind: 'Z'}}},
		{"too many files", Limits{Files: 3}, []entry{{name: "a/"}, {name: "a/1"}, {name: "a/2"}, {name: "a/3"}}},
		{"too many bytes", Limits{Bytes: 10}, []entry{{name: "a", text: "123456"}, {name: "b", text: "123456"}}},
		{"too long a name", Limits{Path: 100}, []entry{{name: long + "x", text: "1"}}},
		{"too long a link", Limits{Path: 100}, []entry{{name: "a", kind: tar.TypeSymlink, to: long}}},
		{"too long a part", Limits{}, []entry{{name: strings.Repeat("x", 256), text: "1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, untouched := fence(t)
			err := unpackAll(root, c.limits, false, archive(t, c.entries))
			if !isRefused(err) {
				t.Errorf("%v, want it refused", err)
			}
			if err := untouched(); err != nil {
				t.Error(err)
			}
			if strings.Contains(listingOf(root), "secret=") {
				t.Error("something from outside is inside")
			}
		})
	}
}

// listingOf is listing where it may fail.
func listingOf(root string) string {
	out := ""
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, _ := os.ReadFile(p)
			out += string(b) + "="
		}
		return nil
	})
	return out
}

// A blob is recognised by its first bytes, and both of its digests are verified.
func TestBlob(t *testing.T) {
	plain := archive(t, []entry{{name: "a", text: "1"}})
	var zipped, zstded bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(plain)
	_ = z.Close()
	zs, err := zstd.NewWriter(&zstded)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = zs.Write(plain)
	_ = zs.Close()
	try := func(t *testing.T, blob []byte, digest, diffID string, limits Limits) error {
		root, _ := fence(t)
		file := filepath.Join(t.TempDir(), "blob")
		if err := os.WriteFile(file, blob, 0o600); err != nil {
			t.Fatal(err)
		}
		u, err := newUnpacker(root, limits.effective(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer u.close()
		return u.blob(context.Background(), file, digest, diffID)
	}
	for name, blob := range map[string][]byte{"plain": plain, "gzip": zipped.Bytes(), "zstd": zstded.Bytes()} {
		t.Run(name, func(t *testing.T) {
			if err := try(t, blob, sum(blob), sum(plain), Limits{}); err != nil {
				t.Error(err)
			}
			if err := try(t, blob, sum(blob), sum(blob[1:]), Limits{}); !isRefused(err) {
				t.Errorf("another diffID: %v", err)
			}
			bad := bytes.Clone(blob)
			bad[len(bad)/2] ^= 1
			if err := try(t, bad, sum(blob), sum(plain), Limits{}); !errors.Is(err, errCorrupt) {
				t.Errorf("a changed byte: %v", err)
			}
			if err := try(t, blob[:len(blob)/2], sum(blob), sum(plain), Limits{}); !errors.Is(err, errCorrupt) {
				t.Errorf("half of it: %v", err)
			}
		})
	}
	t.Run("bomb", func(t *testing.T) {
		var bomb bytes.Buffer
		z := gzip.NewWriter(&bomb)
		_, _ = z.Write(plain)
		_, _ = z.Write(make([]byte, 8<<20)) // behind the end of the archive
		_ = z.Close()
		err := try(t, bomb.Bytes(), sum(bomb.Bytes()), sum(plain), Limits{Bytes: 1 << 20, Files: 10})
		if !isRefused(err) {
			t.Errorf("%v, want it refused", err)
		}
	})
}

// FuzzUnpack: whatever bytes a layer holds, nothing outside its root moves, and
// what was made can be removed again.
func FuzzUnpack(f *testing.F) {
	for _, entries := range [][]entry{
		{{name: "etc/"}, {name: "etc/a", text: "1"}, {name: "b", to: "etc/a", kind: tar.TypeSymlink}},
		{{name: "../outside/new", text: "1"}},
		{{name: "d/", mode: 0o1}, {name: "p", kind: tar.TypeFifo}, {name: "n", kind: tar.TypeChar}},
	} {
		f.Add(archive(f, entries))
	}
	f.Fuzz(func(t *testing.T, layer []byte) { unpackFuzzed(t, [][]byte{layer, layer}) })
}

// FuzzLayers is FuzzUnpack for archives that are well formed: each line is an
// entry (its kind, its name, where it leads or what it holds), a line "=" begins
// the next layer.
func FuzzLayers(f *testing.F) {
	for _, script := range []string{
		"d etc\nf etc/a 1\ns b etc/a\nh c b",
		"s d ../outside\nf d/secret 1\nh a d/secret\n=\nf d/.wh.secret\nd d",
		"d a\nf a/b 1\n=\nf a/.wh..wh..opq\nf a/c 2\n=\nf .wh.a\nf a 3",
		"s a /\nf a/a/a/../b 1\ns a .\nd a/a\nh a a",
		"d . \ns x ../../outside/secret\n=\nh y x\nf y new\nf x new",
	} {
		f.Add(script)
	}
	kinds := map[string]byte{"d": tar.TypeDir, "f": tar.TypeReg, "s": tar.TypeSymlink, "h": tar.TypeLink, "p": tar.TypeFifo, "n": tar.TypeChar}
	f.Fuzz(func(t *testing.T, script string) {
		var layers [][]byte
		var entries []entry
		for line := range strings.Lines(script + "\n=\n") {
			w := append(strings.SplitN(strings.TrimRight(line, "\n"), " ", 3), "", "")
			if w[0] == "=" {
				layers, entries = append(layers, archive(t, entries)), nil
				continue
			}
			e := entry{kind: kinds[w[0]], name: w[1], to: w[2]}
			if e.kind == tar.TypeReg {
				e.text, e.to = w[2], ""
			}
			if e.kind == 0 || e.name == "" || strings.Contains(line, "\x00") || len(line) > 300 {
				continue
			}
			entries = append(entries, e)
		}
		unpackFuzzed(t, layers)
	})
}

func unpackFuzzed(t *testing.T, layers [][]byte) {
	root, untouched := fence(t)
	_ = unpackAll(root, Limits{Bytes: 1 << 20, Files: 1000, Path: 1024}, false, layers...)
	if err := untouched(); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(root); err != nil {
		t.Fatal(err)
	}
}
