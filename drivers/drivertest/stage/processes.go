package stage

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is one that belongs to a stage.
type Process struct {
	PID     int
	Parent  int
	Command string // with its arguments
}

// Processes are those whose command line, working directory or root file system
// is on the stage, but for ourselves.
func (s *Stage) Processes() ([]Process, error) {
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, dir := range pids {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		cwd, _ := os.Readlink(filepath.Join(dir, "cwd"))
		text := strings.ReplaceAll(strings.Trim(string(cmdline), "\x00"), "\x00", " ")
		if strings.Contains(text, s.Dir+"/") || strings.HasPrefix(cwd+"/", s.Dir+"/") || s.isRootOf(dir) {
			found = append(found, Process{PID: pid, Parent: parent(dir), Command: text})
		}
	}
	return found, nil
}

// isRootOf says that the root file system of a process is on the stage. The
// embedded runtime mounts it by paths relative to its own root, so there a
// volume has to tell whose it is. Mounts alone say nothing: they spread to
// namespaces that have no part in it.
func (s *Stage) isRootOf(proc string) bool {
	mounts, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		return false // it has ended
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == "/" {
			return strings.Contains(line, s.Dir+"/") ||
				strings.Contains(line, "lowerdir=roots/") && bytes.Contains(mounts, []byte(s.Dir+"/"))
		}
	}
	return false
}

// parent is the parent of a process, 0 if it has ended.
func parent(proc string) int {
	b, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything; state and parent follow it.
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(f[1]) // the kernel writes numbers there
	return n
}
