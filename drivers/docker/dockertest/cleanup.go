package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/moby/client"
)

// Stop ends the engine and removes all of it: processes, mounts, bridges,
// cgroups and the content of its directory. What cannot be removed is named in
// the error. It may be called again.
func (e *Engine) Stop() error {
	e.removeContainers()
	errs := []error{e.Shutdown(), e.killAll(), e.unmount(), e.pool.removeBridges(), e.removeCgroups()}
	entries, err := os.ReadDir(e.Dir)
	errs = append(errs, err)
	for _, f := range entries {
		errs = append(errs, os.RemoveAll(e.path(f.Name())))
	}
	if left := e.Leftovers(); len(left) > 0 {
		errs = append(errs, fmt.Errorf("stop engine: left over: %s", strings.Join(left, ", ")))
	}
	return errors.Join(append(errs, e.pool.release())...)
}

// Leftovers names what is still there of an engine that was stopped:
// processes, mounts, bridges, cgroups, files.
func (e *Engine) Leftovers() []string {
	var left []string
	for _, pid := range e.processes() {
		left = append(left, "process "+strconv.Itoa(pid))
	}
	for _, m := range e.mounts() {
		left = append(left, "mount "+m)
	}
	for _, b := range e.pool.bridges() {
		left = append(left, "bridge "+b)
	}
	for _, dir := range e.cgroups() {
		left = append(left, "cgroup "+dir)
	}
	entries, _ := os.ReadDir(e.Dir)
	for _, f := range entries {
		left = append(left, "file "+e.path(f.Name()))
	}
	return left
}

// removeContainers kills them through the engine, if it still answers: that is
// quicker than waiting for each to stop.
func (e *Engine) removeContainers() {
	e.mu.Lock()
	running := e.cmd != nil
	e.mu.Unlock()
	cli, err := e.Client()
	if !running || err != nil {
		return
	}
	defer cli.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	list, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return // what is left is killed below
	}
	for _, c := range list.Items {
		cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	}
}

// processes are those that name the engine's directory on their command line
// (engine, containerd, shims) or live in its cgroups (containers).
func (e *Engine) processes() []int {
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid == os.Getpid() || zombie(pid) {
			continue
		}
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		in, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		name, _, _ := bytes.Cut(args, []byte{0})
		ours := bytes.Contains(args, []byte(e.Dir+"/")) && engineTool(filepath.Base(string(name)))
		if ours || bytes.Contains(in, []byte("/"+e.mark)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func engineTool(name string) bool {
	return name == "dockerd" || strings.HasPrefix(name, "containerd") || name == "runc" || name == "docker-proxy"
}

func (e *Engine) killAll() error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		pids := e.processes()
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("end engine: processes %v do not end", pids)
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// zombie says that the process ended and waits for its parent.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err != nil || strings.HasPrefix(rest, "Z")
}

func (e *Engine) mounts() []string {
	b, _ := os.ReadFile("/proc/self/mountinfo")
	var mounts []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], e.Dir+"/") {
			mounts = append(mounts, f[4])
		}
	}
	return mounts
}

func (e *Engine) unmount() error {
	var errs []error
	mounts := e.mounts()
	for _, m := range slices.Backward(mounts) {
		if err := syscall.Unmount(m, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", m, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) cgroups() []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + e.mark, "/sys/fs/cgroup/*/" + e.mark} {
		dirs, _ := filepath.Glob(pattern)
		found = append(found, dirs...)
	}
	return found
}

// removeCgroups removes them from the leaves up; the kernel allows no other way.
func (e *Engine) removeCgroups() error {
	var errs []error
	for _, root := range e.cgroups() {
		var dirs []string
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove cgroup: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
