package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers/process"
)

// proc is one process of an instance.
type proc struct {
	pid  int
	shim bool
	key  string // of its shim
}

var processOne = regexp.MustCompile(`(?m)^NSpid:.*\t1$`)

// processes finds every process below the shims of a root, by what the kernel
// says and not by what the runtime has written down.
func processes(t *testing.T, root string) []proc {
	t.Helper()
	var out []proc
	shims := map[string]string{} // pid namespace → key
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		cmd, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		args := strings.Split(string(cmd), "\x00")
		if err != nil || len(args) < 4 || args[0] != "reconcile-shim" || args[3] != root {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		ns, err := os.Readlink(filepath.Join(dir, "ns", "pid"))
		// A child it has just forked still bears its name, and is not process 1.
		status, _ := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil || !processOne.Match(status) {
			continue
		}
		shims[ns] = args[2]
		out = append(out, proc{pid, true, args[2]})
	}
	for _, dir := range dirs {
		ns, err := os.Readlink(filepath.Join(dir, "ns", "pid"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		key, ok := shims[ns]
		if err != nil || !ok || isShim(out, pid) {
			continue
		}
		out = append(out, proc{pid, false, key})
	}
	return out
}

func isShim(all []proc, pid int) bool {
	for _, p := range all {
		if p.pid == pid {
			return true
		}
	}
	return false
}

// kill ends a process and waits until it has ended.
func kill(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		t.Fatal(err)
	}
	for range 500 {
		if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20); n > 0 {
			return
		}
	}
	t.Fatalf("process %d does not end", pid)
}

// cleanUp removes all instances of a root and proves that nothing is left:
// no process, no mount, no directory, no temporary file.
func cleanUp(t *testing.T, root string) {
	rt := newRuntime(t, root, process.Limits{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen, _, err := rt.Observe(ctx)
	if err != nil {
		t.Error(err)
	}
	for _, i := range seen {
		if err := rt.Remove(ctx, "clean", i.Key); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(root, "instances/*/shim.log"))
		for _, l := range logs {
			b, _ := os.ReadFile(l)
			t.Logf("%s: %s", l, b)
		}
	}
	if err := rt.Prune(ctx, nil, nil); err != nil {
		t.Error(err)
	}
	if err := rt.Close(); err != nil {
		t.Error(err)
	}
}

func nothingLeft(t *testing.T, root string) {
	t.Helper()
	for _, p := range processes(t, root) {
		t.Errorf("process %d of %s is left (shim: %v)", p.pid, p.key, p.shim)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), root) {
		t.Errorf("a mount below %s is left", root)
	}
	for _, dir := range []string{"blobs", "images", "roots", "instances", "tmp"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Error(err)
		}
		for _, e := range entries {
			if dir == "instances" && strings.HasPrefix(e.Name(), "suite.") {
				if _, err := os.Stat(filepath.Join(root, dir, e.Name(), "precious")); err == nil {
					continue // somebody else's
				}
			}
			t.Errorf("%s/%s is left", dir, e.Name())
		}
	}
}
