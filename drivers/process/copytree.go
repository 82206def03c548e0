package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyTree makes a copy of an image's root for one instance, where overlayfs
// is not allowed. File systems that can share the blocks do; the others copy.
// Hard links stay links, so the copy is no larger than the image.
func copyTree(from, to string) error {
	links := map[[2]uint64]string{}
	var dirs []string
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			dirs = append(dirs, rel)
			return os.Mkdir(dst, 0o700)
		case unix.S_IFLNK:
			target, err := os.Readlink(p)
			if err == nil {
				err = os.Symlink(target, dst)
			}
			if err != nil {
				return err
			}
			return copyMeta(p, dst)
		case unix.S_IFREG:
			id := [2]uint64{uint64(st.Dev), st.Ino}
			if first, ok := links[id]; ok && st.Nlink > 1 {
				return os.Link(first, dst)
			}
			links[id] = dst
			if err := copyFile(p, dst); err != nil {
				return err
			}
			return copyMeta(p, dst)
		case unix.S_IFIFO:
			if err := unix.Mkfifo(dst, 0o600); err != nil {
				return err
			}
			return copyMeta(p, dst)
		}
		return nil // the unpacker makes nothing else
	})
	if err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- { // the deepest first: modes may forbid the rest
		if err := copyMeta(filepath.Join(from, dirs[i]), filepath.Join(to, dirs[i])); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (its owner may not read it, and only overlayfs could do without)", err)
	}
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err != nil {
		_, err = io.Copy(dst, src)
		if err != nil {
			return errors.Join(err, dst.Close())
		}
	}
	return dst.Close()
}

// copyMeta gives to the owner, mode, time and attributes of from.
func copyMeta(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := copyXattrs(from, to); err != nil {
			return err
		}
		if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// copyXattrs copies the attributes the unpacker sets.
func copyXattrs(from, to string) error {
	var names [64 << 10]byte
	n, err := unix.Llistxattr(from, names[:])
	if err != nil {
		return nil // this file system has none
	}
	for rest := names[:n]; len(rest) > 0; {
		var name string
		for i, b := range rest {
			if b == 0 {
				name, rest = string(rest[:i]), rest[i+1:]
				break
			}
		}
		if len(name) < 5 || name[:5] != "user." {
			continue
		}
		var value [64 << 10]byte
		n, err := unix.Lgetxattr(from, name, value[:])
		if err == nil {
			err = unix.Lsetxattr(to, name, value[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("copy attribute %s: %w", name, err)
		}
	}
	return nil
}
