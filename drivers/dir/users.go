package dir

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// users names a process in whose mount namespace the directory, or something
// below it, is mounted; "" if there is none. Bind mounts of instances are not in
// our own mount table, so every namespace's is read once.
func users(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", nil // nothing there, nobody uses it
	}
	dev := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	inside, err := withinFilesystem(path, dev)
	if err != nil {
		return "", err
	}
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return "", err
	}
	seen := map[string]bool{}
	for _, p := range procs {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		ns, err := os.Readlink(filepath.Join("/proc", p.Name(), "ns/mnt"))
		if err != nil || seen[ns] {
			continue
		}
		seen[ns] = true
		mounts, err := mountinfo(p.Name())
		if err != nil {
			continue // the process ended
		}
		for _, m := range mounts {
			if m.dev == dev && (m.root == inside || strings.HasPrefix(m.root, inside+"/")) {
				comm, _ := os.ReadFile(filepath.Join("/proc", p.Name(), "comm"))
				return fmt.Sprintf("process %s (%s) at %s", p.Name(), strings.TrimSpace(string(comm)), m.point), nil
			}
		}
	}
	return "", nil
}

type mountLine struct{ dev, root, point string }

// mountinfo reads a process's mounts. Format: proc_pid_mountinfo(5).
func mountinfo(pid string) ([]mountLine, error) {
	f, err := os.Open(filepath.Join("/proc", pid, "mountinfo"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var out []mountLine
	for s := bufio.NewScanner(f); s.Scan(); {
		w := strings.Fields(s.Text())
		if len(w) > 4 {
			out = append(out, mountLine{dev: w[2], root: unescape.Replace(w[3]), point: unescape.Replace(w[4])})
		}
	}
	return out, nil
}

// withinFilesystem returns path as its filesystem names it, whatever part of
// that is mounted where.
func withinFilesystem(path, dev string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	mounts, err := mountinfo("self")
	if err != nil {
		return "", err
	}
	best := -1
	out := real
	for _, m := range mounts {
		if m.dev != dev || !within(real, m.point) || len(m.point) < best {
			continue
		}
		best = len(m.point)
		out = filepath.Join(m.root, strings.TrimPrefix(real, m.point))
	}
	return out, nil
}
