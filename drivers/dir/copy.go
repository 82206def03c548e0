package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
)

type copyOptions struct {
	reflink  bool
	parallel int // files at a time; 0 is 1
	progress func(drivers.Progress)
	what     string
}

// copyTree makes to a faithful copy of the directory from: contents, holes,
// owners, modes, times, extended attributes and hard links. Sockets are left
// out, for nothing listens on a copied one. It never follows a link and never
// leaves either tree, though the tenant may move things about meanwhile; it
// does not cross into another filesystem mounted inside.
func copyTree(ctx context.Context, from, to string, o copyOptions) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	src, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &copier{copyOptions: o, ctx: ctx, src: src, dst: dst, links: map[inode]string{}}
	c.files.SetLimit(max(1, o.parallel))
	top, err := src.Lstat(".")
	if err != nil {
		return err
	}
	c.dev = stat(top).Dev
	if o.progress != nil {
		c.measure(".")
	}
	err = c.dir(".", top)
	if err != nil {
		cancel(err) // what other files are at ends soon
	}
	if ferr := c.files.Wait(); err == nil {
		err = ferr
	}
	if err != nil {
		return err
	}
	// Folders last: every file put into one changes its times.
	for _, finish := range c.folders {
		if err := finish(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.total = c.done
	c.mu.Unlock()
	c.progressed(0)
	return nil
}

type inode struct{ dev, ino uint64 }

type copier struct {
	copyOptions
	ctx         context.Context
	src, dst    *os.Root
	dev         uint64
	links       map[inode]string
	files       errgroup.Group // copies of files under way
	folders     []func() error // what is left to do for each, children first
	mu          sync.Mutex     // guards done and total, and progress calls
	done, total int64
}

func stat(i fs.FileInfo) *syscall.Stat_t { return i.Sys().(*syscall.Stat_t) }

// measure adds up what is allocated, so that progress has an end.
func (c *copier) measure(name string) {
	f, err := c.src.Open(name)
	if err != nil {
		return
	}
	list, _ := f.Readdir(-1)
	f.Close()
	for _, i := range list {
		switch {
		case i.IsDir() && stat(i).Dev == c.dev:
			c.measure(path.Join(name, i.Name()))
		case i.Mode().IsRegular():
			// An estimate: a file with holes has fewer blocks than bytes.
			c.total += min(i.Size(), stat(i).Blocks*512) / int64(stat(i).Nlink)
		}
	}
}

func (c *copier) dir(name string, info fs.FileInfo) error {
	f, err := c.src.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	list, err := f.Readdir(-1)
	if err != nil {
		return err
	}
	for _, i := range list {
		if err := c.ctx.Err(); err != nil {
			return context.Cause(c.ctx)
		}
		if err := c.entry(path.Join(name, i.Name()), i); errors.Is(err, fs.ErrNotExist) {
			continue // removed by a running writer after we listed it
		} else if err != nil {
			return err
		}
	}
	attrs, err := xattrs(f)
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	// Set last as well: a default access control list would be given to every
	// file made after it.
	c.folders = append(c.folders, func() error { return c.finish(name, info, attrs) })
	return nil
}

func (c *copier) entry(name string, info fs.FileInfo) error {
	st := stat(info)
	if st.Dev != c.dev {
		return fmt.Errorf("copy %s: another filesystem is mounted there; unmount it or give it a volume of its own", name)
	}
	mode := info.Mode()
	if !mode.IsDir() && st.Nlink > 1 {
		key := inode{st.Dev, st.Ino}
		if first, ok := c.links[key]; ok {
			return c.dst.Link(first, name)
		}
		c.links[key] = name
	}
	switch {
	case mode.IsDir():
		if err := c.dst.Mkdir(name, 0o700); err != nil {
			return err
		}
		return c.dir(name, info)
	case mode.IsRegular() && st.Nlink > 1:
		return c.file(name) // its other names are made from it
	case mode.IsRegular():
		c.files.Go(func() error {
			err := c.file(name)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed by a running writer after we listed it
			}
			return err
		})
		return nil
	case mode&fs.ModeSymlink != 0:
		target, err := c.src.Readlink(name)
		if err != nil {
			return err
		}
		if err := c.dst.Symlink(target, name); err != nil {
			return err
		}
		if err := c.dst.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
		return c.linkTimes(name, st)
	case mode&(fs.ModeNamedPipe|fs.ModeDevice) != 0:
		return c.node(name, info)
	}
	return nil
}

// linkTimes sets the times of a link itself.
func (c *copier) linkTimes(name string, st *syscall.Stat_t) error {
	parent, err := c.dst.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer parent.Close()
	times := []unix.Timespec{{Sec: st.Atim.Sec, Nsec: st.Atim.Nsec}, {Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}}
	if err := unix.UtimesNanoAt(int(parent.Fd()), path.Base(name), times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "utimensat", Path: name, Err: err}
	}
	return nil
}

func (c *copier) node(name string, info fs.FileInfo) error {
	parent, err := c.dst.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer parent.Close()
	st := stat(info)
	if err := unix.Mknodat(int(parent.Fd()), path.Base(name), st.Mode, int(st.Rdev)); err != nil {
		return &fs.PathError{Op: "mknod", Path: name, Err: err}
	}
	return c.finish(name, info, nil)
}

func (c *copier) file(name string) error {
	// NONBLOCK: a file swapped for a FIFO meanwhile must not hang the copy.
	in, err := c.src.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	now, err := in.Stat()
	if err != nil {
		return err
	}
	if !now.Mode().IsRegular() || stat(now).Dev != c.dev {
		return fmt.Errorf("copy %s: it was replaced while it was copied", name)
	}
	out, err := c.dst.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = c.content(out, in, now.Size())
	var attrs []xattr
	if err == nil {
		attrs, err = xattrs(in)
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	return c.finish(name, now, attrs)
}

// content copies size bytes: by sharing blocks, else range by range, leaving
// holes as holes.
func (c *copier) content(out, in *os.File, size int64) error {
	if c.reflink {
		if err := unix.IoctlFileClone(int(out.Fd()), int(in.Fd())); err == nil {
			c.progressed(size)
			return nil
		}
	}
	if err := out.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); at < size; {
		from, err := unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // nothing but a hole is left
		}
		if err != nil {
			from = at // the filesystem knows no holes
		}
		to, err := unix.Seek(int(in.Fd()), from, unix.SEEK_HOLE)
		if err != nil {
			to = size
		}
		if err := c.span(out, in, from, min(to, size)); err != nil {
			return err
		}
		at = to
	}
	return nil
}

// chunk bounds one copy call, so that cancelling and progress have a rhythm.
const chunk = 16 << 20

func (c *copier) span(out, in *os.File, from, to int64) error {
	for from < to {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		read, write := from, from
		n, err := unix.CopyFileRange(int(in.Fd()), &read, int(out.Fd()), &write, int(min(to-from, chunk)), 0)
		switch {
		case err == nil && n == 0:
			return nil // the file became shorter meanwhile
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
			m, err := io.Copy(io.NewOffsetWriter(out, from), io.NewSectionReader(in, from, min(to-from, chunk)))
			if err != nil {
				return err
			}
			if m == 0 {
				return nil
			}
			n = int(m)
		case err != nil:
			return err
		}
		from += int64(n)
		c.progressed(int64(n))
	}
	return nil
}

func (c *copier) progressed(n int64) {
	if c.progress == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	c.progress(drivers.Progress{What: "copy " + c.what, Done: c.done, Total: max(c.total, c.done)})
}

// finish gives a copied entry owner, attributes, mode and times. The owner comes
// first, for changing it clears capabilities and setuid bits; attributes before
// the mode, which may forbid to write them.
func (c *copier) finish(name string, info fs.FileInfo, attrs []xattr) error {
	st := stat(info)
	if err := c.dst.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := c.setXattrs(name, attrs); err != nil {
		return err
	}
	if err := c.dst.Chmod(name, info.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return c.dst.Chtimes(name, time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix()))
}

func (c *copier) setXattrs(name string, attrs []xattr) error {
	if len(attrs) == 0 {
		return nil
	}
	f, err := c.dst.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, a := range attrs {
		if err := unix.Fsetxattr(int(f.Fd()), a.name, a.value, 0); err != nil {
			return fmt.Errorf("copy %s: set %s: %w", name, a.name, err)
		}
	}
	return nil
}

type xattr struct {
	name  string
	value []byte
}

// xattrs returns every extended attribute this user may read, access control
// lists and capabilities among them.
func xattrs(f *os.File) ([]xattr, error) {
	names, err := listXattrs(f)
	if err != nil {
		return nil, err
	}
	var out []xattr
	for _, name := range names {
		value, err := getXattr(f, name)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		out = append(out, xattr{name, value})
	}
	return out, nil
}

func listXattrs(f *os.File) ([]string, error) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.Flistxattr(int(f.Fd()), buf)
		if errors.Is(err, unix.ERANGE) {
			buf = make([]byte, 4*len(buf))
			continue
		}
		if errors.Is(err, unix.EOPNOTSUPP) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var out []string
		for start, i := 0, 0; i < n; i++ {
			if buf[i] == 0 {
				out = append(out, string(buf[start:i]))
				start = i + 1
			}
		}
		return out, nil
	}
}

func getXattr(f *os.File, name string) ([]byte, error) {
	buf := make([]byte, 1024)
	for {
		n, err := unix.Fgetxattr(int(f.Fd()), name, buf)
		if errors.Is(err, unix.ERANGE) {
			buf = make([]byte, 4*len(buf))
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}

// canReflink tries to share a block between two files in dir.
func canReflink(dir string) bool {
	a, err := os.CreateTemp(dir, "reflink-*")
	if err != nil {
		return false
	}
	defer os.Remove(a.Name())
	defer a.Close()
	b, err := os.CreateTemp(dir, "reflink-*")
	if err != nil {
		return false
	}
	defer os.Remove(b.Name())
	defer b.Close()
	if _, err := a.Write(make([]byte, 4096)); err != nil {
		return false
	}
	return unix.IoctlFileClone(int(b.Fd()), int(a.Fd())) == nil
}
