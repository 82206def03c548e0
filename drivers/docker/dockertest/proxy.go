package dockertest

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Proxy is a process of the engine that serves one host port.
type Proxy struct {
	Pid      int
	HostPort string
}

// Proxies lists them.
func (e *Engine) Proxies() []Proxy {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cmd == nil {
		return nil
	}
	var found []Proxy
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		b, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		args := strings.Split(string(b), "\x00")
		i := slices.Index(args, "-host-port")
		if filepath.Base(args[0]) != "docker-proxy" || i < 0 || i+1 >= len(args) || parent(dir) != e.cmd.Process.Pid {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(dir))
		found = append(found, Proxy{Pid: pid, HostPort: args[i+1]})
	}
	return found
}

// parent reads the fourth field of stat (proc_pid_stat(5)).
func parent(dir string) int {
	b, _ := os.ReadFile(filepath.Join(dir, "stat"))
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	pid, _ := strconv.Atoi(fields[1])
	return pid
}
