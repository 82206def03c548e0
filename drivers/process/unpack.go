package process

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// errCorrupt says that a blob on disk is not what its name says.
var errCorrupt = errors.New("its content does not match its digest")

// Names by which a layer takes away what a lower one has.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	aufs     = ".wh..wh." // other marks of a file system nobody uses any more
)

// unpacker lays layers over each other in one directory. Every name is
// resolved by the kernel within that directory (RESOLVE_IN_ROOT): a link,
// absolute or not, leads where it would lead in the instance, and ".." stops
// at the top. The last element of a name is never followed.
type unpacker struct {
	root   rooted
	limits Limits
	owners bool // set owners; else everything is ours

	bytes int64
	files int
	disk  int64 // bytes of what was written, in whole blocks
	// modes of directories are set at the end, for one that is read-only must
	// still be filled. By name as the layers give it.
	modes map[string]*tar.Header
	// fresh are the names of the layer under way, with all their parents: its
	// whiteouts are only about the layers below it.
	fresh map[string]bool
}

func newUnpacker(dir string, limits Limits, owners bool) (*unpacker, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := openRooted(dir)
	if err != nil {
		return nil, err
	}
	return &unpacker{root: root, limits: limits, owners: owners, modes: map[string]*tar.Header{
		".": {Typeflag: tar.TypeDir, Mode: 0o755},
	}}, nil
}

func (u *unpacker) close() { u.root.close() }

// blob lays a compressed layer over what is there, and verifies both digests:
// of the blob as it came, and of the archive within (diffID).
func (u *unpacker) blob(ctx context.Context, file, digest, diffID string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	blobSum, tarSum := sha256.New(), sha256.New()
	blob := io.TeeReader(f, blobSum)
	plain, err := decompress(blob)
	if err != nil {
		return refusal("%w", err)
	}
	// An archive may go on behind its end mark; that is hashed and counts too.
	bounded := &boundReader{r: plain, left: u.limits.Bytes + int64(u.limits.Files)*2048, ctx: ctx}
	layer := io.TeeReader(bounded, tarSum)
	err = u.layer(layer)
	if err == nil {
		_, err = io.Copy(io.Discard, layer)
	}
	plain.Close()
	if err == nil {
		_, err = io.Copy(io.Discard, blob)
	}
	if err != nil {
		// A blob that went bad on our disk shows as any error at all.
		if _, e := io.Copy(blobSum, f); e == nil && hexSum(blobSum.Sum(nil)) != digest && ctx.Err() == nil {
			return errCorrupt
		}
		return err
	}
	if hexSum(blobSum.Sum(nil)) != digest {
		return errCorrupt
	}
	if got := hexSum(tarSum.Sum(nil)); got != diffID {
		return refusal("unpacked it is %s, the image's configuration says %s", got, diffID)
	}
	return nil
}

func hexSum(b []byte) string { return "sha256:" + hex.EncodeToString(b) }

// boundReader ends a stream that is longer than it may be, or whose caller is gone.
type boundReader struct {
	r    io.Reader
	left int64
	ctx  context.Context
}

func (b *boundReader) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, refusal("it unpacks to more than the limit")
	}
	return n, err
}

// decompress recognises gzip and zstd by their first bytes.
func decompress(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}

// layer lays one archive over what is there.
func (u *unpacker) layer(r io.Reader) error {
	u.fresh = map[string]bool{}
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
			return refusal("read archive: %w", err)
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if err := u.entry(h, archive); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

// entry lays one entry over what is there.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
	case tar.TypeXGlobalHeader:
		return nil
	default:
		return refusal("entries of type %q are not known", h.Typeflag)
	}
	name, err := u.clean(h.Name)
	if err != nil {
		return err
	}
	if u.files++; u.files > u.limits.Files {
		return refusal("the image has more than %d files, the limit", u.limits.Files)
	}
	dir, base := path.Split(name)
	dir = path.Clean("./" + dir)
	if strings.HasPrefix(base, whiteout) {
		return u.whiteout(dir, base)
	}
	for p := name; !u.fresh[p]; p = path.Dir(p) {
		u.fresh[p] = true
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return refusal("the top of an image is a directory")
		}
		u.modes[name] = h
		return nil
	}
	// Parents no layer speaks of are open to all to pass.
	parent, err := u.root.makeDir(dir, func(made string) {
		u.modes[made] = &tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}
	})
	if err != nil {
		return err
	}
	defer parent.close()
	return u.put(parent, base, name, h, content)
}

// clean returns a name relative to the top, or refuses it.
func (u *unpacker) clean(name string) (string, error) {
	if len(name) > u.limits.Path {
		return "", refusal("its name has %d bytes, the limit is %d", len(name), u.limits.Path)
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return "", refusal("its name leads upwards")
		case len(part) > 255:
			return "", refusal("a part of its name has %d bytes, the limit is 255", len(part))
		case strings.Contains(part, "\x00"):
			return "", refusal("its name holds a zero byte")
		}
	}
	return path.Clean("./" + strings.TrimLeft(name, "/")), nil
}

// put makes one entry in an open directory.
func (u *unpacker) put(parent rooted, base, name string, h *tar.Header, content io.Reader) error {
	there, err := parent.lstat(base)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		if there == unix.S_IFDIR {
			u.modes[name] = h
			return nil
		}
	}
	if there != 0 {
		if h.Typeflag == tar.TypeLink && u.sameFile(parent, base, h.Linkname) {
			return nil // a link to itself, as some tools write
		}
		if err := parent.removeAll(base); err != nil {
			return err
		}
		u.forget(name)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		u.modes[name] = h
		u.disk += block
		return parent.mkdir(base)
	case tar.TypeReg:
		return u.file(parent, base, h, content)
	case tar.TypeSymlink:
		if len(h.Linkname) > u.limits.Path {
			return refusal("it leads to a name of %d bytes, the limit is %d", len(h.Linkname), u.limits.Path)
		}
		if err := parent.symlink(h.Linkname, base); err != nil {
			return err
		}
	case tar.TypeLink:
		return u.link(parent, base, h.Linkname)
	case tar.TypeFifo:
		if err := parent.mkfifo(base, perm(h)); err != nil {
			return err
		}
	default:
		return nil // devices: an instance has a /dev of its own
	}
	return u.dress(parent, base, h)
}

// file writes a regular file.
func (u *unpacker) file(parent rooted, base string, h *tar.Header, content io.Reader) error {
	if u.bytes += h.Size; h.Size < 0 || u.bytes > u.limits.Bytes {
		return refusal("the image has more than %d bytes, the limit", u.limits.Bytes)
	}
	u.disk += (h.Size + block - 1) / block * block
	f, err := parent.create(base)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = setXattrs(f, h)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return u.dress(parent, base, h)
}

// link makes a hard link to a file within the image.
func (u *unpacker) link(parent rooted, base, to string) error {
	name, err := u.clean(to)
	if err != nil {
		return fmt.Errorf("it links to %q: %w", to, err)
	}
	dir, err := u.root.dir(path.Dir(name))
	if err != nil {
		return refusal("it links to %q, which is not there", to)
	}
	defer dir.close()
	switch kind, err := dir.lstat(path.Base(name)); {
	case err != nil:
		return err
	case kind == 0:
		return refusal("it links to %q, which is not there", to)
	case kind == unix.S_IFDIR:
		return refusal("it links to %q, which is a directory", to)
	}
	return dir.link(path.Base(name), parent, base)
}

// sameFile says whether a hard link would replace the very file it leads to.
func (u *unpacker) sameFile(parent rooted, base, to string) bool {
	name, err := u.clean(to)
	if err != nil {
		return false
	}
	dir, err := u.root.dir(path.Dir(name))
	if err != nil {
		return false
	}
	defer dir.close()
	return parent.same(base, dir, path.Base(name))
}

// whiteout takes away what the layers below have.
func (u *unpacker) whiteout(dir, base string) error {
	switch {
	case base == opaque:
		parent, err := u.root.dir(dir)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return nil
		}
		if err != nil {
			return err
		}
		defer parent.close()
		return u.clear(parent, dir)
	case strings.HasPrefix(base, aufs):
		return nil
	}
	gone := strings.TrimPrefix(base, whiteout)
	if gone == "" || gone == "." || gone == ".." {
		return refusal("a whiteout of nothing")
	}
	name := path.Join(dir, gone)
	if u.fresh[name] {
		return nil
	}
	parent, err := u.root.dir(dir)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.close()
	u.forget(name)
	return parent.removeAll(gone)
}

// clear empties a directory of all that this layer did not bring.
func (u *unpacker) clear(dir rooted, name string) error {
	names, err := dir.list()
	if err != nil {
		return err
	}
	for _, base := range names {
		p := path.Join(name, base)
		if !u.fresh[p] {
			u.forget(p)
			if err := dir.removeAll(base); err != nil {
				return err
			}
			continue
		}
		if kind, err := dir.lstat(base); err != nil {
			return err
		} else if kind == unix.S_IFDIR {
			child, err := dir.open(base)
			if err != nil {
				return err
			}
			err = u.clear(child, p)
			child.close()
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// forget drops the modes kept for a name and all below it.
func (u *unpacker) forget(name string) {
	for p := range u.modes {
		if p == name || strings.HasPrefix(p, name+"/") {
			delete(u.modes, p)
		}
	}
}

// finish gives directories their modes, the deepest first.
func (u *unpacker) finish() error {
	names := make([]string, 0, len(u.modes))
	for name := range u.modes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	for _, name := range names {
		parent, err := u.root.dir(path.Dir(name))
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		err = u.dress(parent, path.Base(name), u.modes[name])
		parent.close()
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

// dress gives an entry its owner, mode and time, never following a link.
func (u *unpacker) dress(parent rooted, base string, h *tar.Header) error {
	if u.owners {
		if err := parent.chown(base, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if h.Typeflag != tar.TypeSymlink {
		if err := parent.chmod(base, perm(h)); err != nil {
			return err
		}
	}
	return parent.utimes(base, changed(h))
}

// perm is a mode as we keep it: a program that changes its user when executed
// is none here (and no_new_privs would not let it), but a directory that hands
// down its group, or protects its files from others, stays one.
func perm(h *tar.Header) uint32 {
	if h.Typeflag == tar.TypeDir {
		return uint32(h.Mode) & 0o3777
	}
	return uint32(h.Mode) & 0o777
}

// changed is an entry's time, where a file system can have it at all.
func changed(h *tar.Header) time.Time {
	if h.ModTime.Unix() < 0 || h.ModTime.Unix() >= 1<<33 {
		return time.Unix(0, 0)
	}
	return h.ModTime
}

// setXattrs sets the user's own attributes. Others need a privilege, or (those
// of overlayfs) would be taken for marks of our own mounts.
func setXattrs(f *os.File, h *tar.Header) error {
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, "SCHILY.xattr.")
		if !ok || !strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		err := unix.Fsetxattr(int(f.Fd()), name, []byte(value), 0)
		if err != nil && err != unix.ENOTSUP {
			return fmt.Errorf("set attribute %s: %w", name, err)
		}
	}
	return nil
}
