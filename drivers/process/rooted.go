package process

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rooted is an open directory within an image that is being made. base in its
// methods is one element of a name and is never followed.
type rooted struct {
	f   *os.File
	top *os.File
}

func openRooted(dir string) (rooted, error) {
	f, err := os.Open(dir)
	return rooted{f, f}, err
}

func (d rooted) close() { d.f.Close() }

func (d rooted) fd() int { return int(d.f.Fd()) }

// dir opens a directory by its name from the top, following links as an
// instance would.
func (d rooted) dir(name string) (rooted, error) {
	fd, err := unix.Openat2(int(d.top.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return rooted{}, fmt.Errorf("open directory %q: %w", name, err)
	}
	return rooted{os.NewFile(uintptr(fd), name), d.top}, nil
}

// makeDir opens a directory by its name from the top, and makes what is
// missing of it, telling made of each.
func (d rooted) makeDir(name string, made func(string)) (rooted, error) {
	out, err := d.dir(name)
	if err == nil || !errors.Is(err, unix.ENOENT) || name == "." {
		return out, blame(err)
	}
	parent, err := d.makeDir(path.Dir(name), made)
	if err != nil {
		return rooted{}, err
	}
	err = parent.mkdir(path.Base(name))
	parent.close()
	if err == nil {
		made(name)
	} else if !errors.Is(err, unix.EEXIST) {
		return rooted{}, err
	}
	// EEXIST and not there a moment ago: a link that leads nowhere.
	out, err = d.dir(name)
	return out, blame(err)
}

// blame refuses an image whose names cannot be resolved; other errors are the
// host's.
func blame(err error) error {
	for _, e := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENAMETOOLONG} {
		if errors.Is(err, e) {
			return refusal("%w", err)
		}
	}
	return err
}

// open opens a directory in d.
func (d rooted) open(base string) (rooted, error) {
	fd, err := unix.Openat(d.fd(), base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return rooted{}, fmt.Errorf("open directory %q: %w", base, err)
	}
	return rooted{os.NewFile(uintptr(fd), base), d.top}, nil
}

// mkdir makes a directory nobody else may enter; finish gives it its mode.
func (d rooted) mkdir(base string) error {
	return wrap("make directory", unix.Mkdirat(d.fd(), base, 0o700))
}

func (d rooted) create(base string) (*os.File, error) {
	fd, err := unix.Openat(d.fd(), base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, wrap("create file", err)
	}
	return os.NewFile(uintptr(fd), base), nil
}

func (d rooted) symlink(to, base string) error {
	if to == "" || strings.Contains(to, "\x00") {
		return refusal("it leads nowhere")
	}
	return wrap("make link", unix.Symlinkat(to, d.fd(), base))
}

func (d rooted) link(from string, to rooted, base string) error {
	return wrap("link", unix.Linkat(d.fd(), from, to.fd(), base, 0))
}

func (d rooted) mkfifo(base string, mode uint32) error {
	return wrap("make fifo", unix.Mknodat(d.fd(), base, unix.S_IFIFO|mode, 0))
}

func (d rooted) chown(base string, uid, gid int) error {
	return wrap("change owner", unix.Fchownat(d.fd(), base, uid, gid, unix.AT_SYMLINK_NOFOLLOW))
}

// chmod changes the mode of what is no link: nobody else is in a tree that is
// being made, so what lstat saw is what is there.
func (d rooted) chmod(base string, mode uint32) error {
	if kind, err := d.lstat(base); err != nil || kind == unix.S_IFLNK {
		return err
	}
	return wrap("change mode", unix.Fchmodat(d.fd(), base, mode, 0))
}

func (d rooted) utimes(base string, t time.Time) error {
	ts := unix.NsecToTimespec(t.UnixNano())
	return wrap("set time", unix.UtimesNanoAt(d.fd(), base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

// lstat returns what kind of thing base is (unix.S_IF…), 0 if it is not there.
func (d rooted) lstat(base string) (uint32, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.fd(), base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return 0, nil
	}
	return st.Mode & unix.S_IFMT, wrap("look at", err)
}

// same says whether two names are one file.
func (d rooted) same(base string, other rooted, name string) bool {
	var a, b unix.Stat_t
	return unix.Fstatat(d.fd(), base, &a, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		unix.Fstatat(other.fd(), name, &b, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		a.Dev == b.Dev && a.Ino == b.Ino
}

func (d rooted) list() ([]string, error) {
	if _, err := d.f.Seek(0, 0); err != nil {
		return nil, err
	}
	return d.f.Readdirnames(-1)
}

// removeAll removes base and all below it.
func (d rooted) removeAll(base string) error {
	err := unix.Unlinkat(d.fd(), base, 0)
	if err == nil || err == unix.ENOENT {
		return nil
	}
	if err != unix.EISDIR {
		return wrap("remove", err)
	}
	child, err := d.open(base)
	if err != nil {
		return err
	}
	defer child.close()
	names, err := child.list()
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := child.removeAll(n); err != nil {
			return err
		}
	}
	return wrap("remove", unix.Unlinkat(d.fd(), base, unix.AT_REMOVEDIR))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
