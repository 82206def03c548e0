package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// devices are the nodes an instance has, bound from the host: none can be made
// in a user namespace.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// The parts of /proc that speak of the host: a process that is root outside
// as well could write to them, user namespace or not.
var (
	procReadOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
	procHidden   = []string{"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"}
)

// hostFiles make names resolve as they do on the host, whose network it shares.
var hostFiles = []string{"/etc/resolv.conf", "/etc/hosts"}

// grafted is a mount made from the host's tree before the way back to it is
// cut, and put in place afterwards.
type grafted struct {
	fd   int
	path string
	file bool
}

// enterRoot makes the instance's file system and leaves the host's. Everything
// taken from the host is taken first, by handle; only then, with the host's
// tree gone from this namespace, is any path inside looked at. So no link in
// an image or a volume can lead out.
func enterRoot(root string, o *order) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// Relative names need no escaping in the options of overlayfs.
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	name, err := dirName(o.Key)
	if err != nil {
		return err
	}
	dir := filepath.Join(instancesDir, name)
	target, err := mountRoot(dir, filepath.Join(rootsDir, o.Run.Lower), o.Run.Copied)
	if err != nil {
		return err
	}
	proc, err := freshProc()
	if err != nil {
		return err
	}
	grafts, err := graft(o.Run.Binds)
	if err != nil {
		return err
	}
	files := fromHost(o.Run.Hostname)
	if err := pivot(target); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(o.Run.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	unix.Umask(0) // modes below are meant as written
	defer unix.Umask(0o022)
	for _, f := range append(files, o.Run.Files...) {
		if err := place(f); err != nil {
			return err
		}
	}
	if err := proc.settle(); err != nil {
		return err
	}
	if err := mountDev(); err != nil {
		return err
	}
	for _, t := range o.Run.Tmpfs {
		if err := mountTmpfs(t.Path, t.Data); err != nil {
			return err
		}
	}
	for _, g := range grafts {
		if err := g.settle(); err != nil {
			return err
		}
	}
	if err := guardProc(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Run.Dir, 0o755); err != nil {
		return fmt.Errorf("make work directory: %w", err)
	}
	return nil
}

// mountRoot mounts the instance's root: its own layer over the image, or the
// copy it was given where overlayfs is not allowed.
func mountRoot(dir, lower string, copied bool) (string, error) {
	target := filepath.Join(dir, rootDir)
	if copied {
		if err := unix.Mount(target, target, "", unix.MS_BIND, ""); err != nil {
			return "", fmt.Errorf("bind root: %w", err)
		}
		return target, nil
	}
	// userxattr: overlayfs keeps its marks where a user namespace may write them.
	// index=off: the kernel may let go of the last shim's mount a moment after
	// the shim is gone, and with an index that moment would be an error.
	data := "userxattr,index=off,lowerdir=" + lower + ",upperdir=" + filepath.Join(dir, upperDir) + ",workdir=" + filepath.Join(dir, workDir)
	if err := unix.Mount("overlay", target, "overlay", unix.MS_NODEV|unix.MS_NOSUID, data); err != nil {
		return "", fmt.Errorf("mount overlayfs: %w", err)
	}
	return target, nil
}

// pivot makes target the root of this namespace and lets the old one go.
func pivot(target string) error {
	if err := unix.Chdir(target); err != nil {
		return fmt.Errorf("enter new root: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	// The old root now lies over the new one.
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave old root: %w", err)
	}
	return os.Chdir("/")
}

// graft takes the binds and devices from the host's tree.
func graft(binds []bind) ([]grafted, error) {
	var out []grafted
	take := func(host, path string, attr uint64) error {
		info, err := os.Stat(host)
		if err != nil {
			return fmt.Errorf("bind %s: %w", host, err)
		}
		fd, err := cloneMount(host, attr)
		if err != nil {
			return fmt.Errorf("bind %s: %w", host, err)
		}
		out = append(out, grafted{fd: fd, path: path, file: !info.IsDir()})
		return nil
	}
	for _, d := range devices {
		if err := take("/dev/"+d, "/dev/"+d, unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NOSUID); err != nil {
			return nil, err
		}
	}
	for _, b := range binds {
		attr := uint64(unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID)
		if b.ReadOnly {
			attr |= unix.MOUNT_ATTR_RDONLY
		}
		if err := take(b.Host, b.Path, attr); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cloneMount returns a handle to a copy of the mounts at path, with attr set
// on each.
func cloneMount(path string, attr uint64) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("clone mount: %w", err)
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attr}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set mount attributes: %w", err)
	}
	return fd, nil
}

// settle puts the mount in its place.
func (g grafted) settle() error {
	if err := makePoint(g.path, g.file); err != nil {
		return err
	}
	if err := unix.MoveMount(g.fd, "", unix.AT_FDCWD, g.path, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS); err != nil {
		return fmt.Errorf("mount at %s: %w", g.path, err)
	}
	return unix.Close(g.fd)
}

// makePoint makes a place to mount at, if there is none.
func makePoint(path string, file bool) error {
	if !file {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("make mount point: %w", err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	return f.Close()
}

// freshProc makes the /proc of this pid namespace. The kernel allows that only
// while a whole one is in sight, so it is made before the host's is left.
func freshProc() (grafted, error) {
	fail := func(err error) (grafted, error) {
		return grafted{}, fmt.Errorf("mount /proc (refused where the host's own /proc is partly hidden, as inside a container): %w", err)
	}
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return fail(err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fail(err)
	}
	return grafted{fd: fd, path: "/proc"}, nil
}

// guardProc covers the parts of /proc that speak of the host. It comes after
// /dev, whose null covers files.
func guardProc() error {
	for _, path := range procReadOnly {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		fd, err := cloneMount(path, unix.MOUNT_ATTR_RDONLY)
		if err != nil {
			return fmt.Errorf("protect %s: %w", path, err)
		}
		err = unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("protect %s: %w", path, err)
		}
	}
	for _, path := range procHidden {
		info, err := os.Stat(path)
		if err != nil {
			continue // this kernel has none
		}
		if info.IsDir() {
			err = unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		} else {
			err = cover(path)
		}
		if err != nil {
			return fmt.Errorf("hide %s: %w", path, err)
		}
	}
	return nil
}

// cover mounts the null device over a file.
func cover(path string) error {
	fd, err := cloneMount("/dev/null", unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// mountDev makes the smallest /dev programs expect. The nodes are grafts.
func mountDev() error {
	if err := mountTmpfs("/dev", "mode=0755,size=64k"); err != nil {
		return err
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(to, "/dev/"+name); err != nil {
			return fmt.Errorf("make /dev: %w", err)
		}
	}
	return mountTmpfs("/dev/shm", "mode=1777,size=64m")
}

func mountTmpfs(path, data string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return fmt.Errorf("mount tmpfs at %s: %w", path, err)
	}
	return nil
}

// fromHost reads what an instance that shares the host's network needs of its
// /etc. What the host does not have, the instance does not get.
func fromHost(hostname string) []placed {
	out := []placed{{Path: "/etc/hostname", Mode: 0o644, Text: hostname + "\n"}}
	for _, path := range hostFiles {
		if data, err := os.ReadFile(path); err == nil {
			out = append(out, placed{Path: path, Mode: 0o644, Text: string(data)})
		}
	}
	return out
}

// place writes a file into the instance's own layer.
func place(f placed) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("place file: %w", err)
	}
	// Made anew: what is there may be a link, or shared with the image by one.
	if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("place file: %w", err)
	}
	if err := os.WriteFile(f.Path, []byte(f.Text), fs.FileMode(f.Mode)); err != nil {
		return fmt.Errorf("place file: %w", err)
	}
	return nil
}
