package process

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// user fills in the ids of "name", "id", "name:group" or "id:id", by the files
// of the image, and returns the user's home.
func (r *Runtime) user(c *run, spec string) (home string, err error) {
	name, group, withGroup := strings.Cut(spec, ":")
	if name == "" {
		name = "0"
	}
	passwd, err := r.readIn(c.Lower, "etc/passwd")
	if err != nil {
		return "", err
	}
	groups, err := r.readIn(c.Lower, "etc/group")
	if err != nil {
		return "", err
	}
	home = "/"
	found := false
	for f := range records(passwd, 7) {
		if f[0] == name || f[2] == name {
			if c.UID, err = number(f[2]); err != nil {
				return "", fmt.Errorf("user %q: %w", spec, err)
			}
			if c.GID, err = number(f[3]); err != nil {
				return "", fmt.Errorf("user %q: %w", spec, err)
			}
			name, home, found = f[0], cmp.Or(f[5], "/"), true
			break
		}
	}
	if !found {
		if c.UID, err = number(name); err != nil {
			return "", fmt.Errorf("user %q: the image knows no such user", spec)
		}
		if c.UID == 0 {
			home = "/root"
		}
	}
	if withGroup {
		c.GID, err = number(group)
		for f := range records(groups, 4) {
			if f[0] == group {
				c.GID, err = number(f[2])
				break
			}
		}
		if err != nil {
			return "", fmt.Errorf("user %q: the image knows no such group", spec)
		}
		return home, nil
	}
	// A named user has its other groups too, where we have more than one to give.
	if found && r.rooted {
		for f := range records(groups, 4) {
			for member := range strings.SplitSeq(f[3], ",") {
				if g, err := number(f[2]); err == nil && member == name && g != c.GID {
					c.Groups = append(c.Groups, g)
				}
			}
		}
	}
	return home, nil
}

// number reads an id. The two highest mean "no id" to the kernel.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n >= 1<<32-2 {
		return 0, fmt.Errorf("%q is no id", s)
	}
	return int(n), nil
}

// records yields the lines of a passwd or group file that have n fields.
func records(text string, n int) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
			if len(f) == n && !yield(f) {
				return
			}
		}
	}
}

// readIn reads a small file of an image, resolving links as the instance
// would; "" if it has none.
func (r *Runtime) readIn(root, name string) (string, error) {
	dir, err := os.Open(r.path(rootsDir, root))
	if err != nil {
		return "", err
	}
	defer dir.Close()
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read /%s of the image: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(data), err
}
