package stage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Ask sends one GET through the proxy on a connection of its own.
func (s *Stage) Ask(ctx context.Context, host, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Proxy+path, nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Proxy: nil}}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return string(b), fmt.Errorf("GET http://%s%s: %s", host, path, res.Status)
	}
	return string(b), nil
}

// Leftovers names every process, mount and engine object that is still there of
// this stage. Files below Dir are the stage's own to remove.
func (s *Stage) Leftovers(ctx context.Context) ([]string, error) {
	left, err := s.processes()
	if err != nil {
		return nil, err
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer mounts.Close()
	for sc := bufio.NewScanner(mounts); sc.Scan(); {
		if f := strings.Fields(sc.Text()); len(f) > 4 && strings.HasPrefix(f[4]+"/", s.Dir+"/") {
			left = append(left, "mount "+f[4])
		}
	}
	if s.Runtime != "docker" {
		return left, nil
	}
	for _, list := range [][]string{{"ps", "-a", "--format", "container {{.Names}}"}, {"network", "ls", "--format", "network {{.Name}}"}} {
		cmd := exec.CommandContext(ctx, "docker", list...)
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.DockerHost)
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("docker %s: %w", strings.Join(list, " "), err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "reconcile-") {
				left = append(left, strings.TrimSpace(line))
			}
		}
	}
	return left, nil
}

// processes are those whose command line, working directory or root file system
// is on the stage, but for ourselves.
func (s *Stage) processes() ([]string, error) {
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var left []string
	for _, dir := range pids {
		if filepath.Base(dir) == fmt.Sprint(os.Getpid()) {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		cwd, _ := os.Readlink(filepath.Join(dir, "cwd"))
		text := strings.ReplaceAll(strings.Trim(string(cmdline), "\x00"), "\x00", " ")
		if strings.Contains(text, s.Dir+"/") || strings.HasPrefix(cwd+"/", s.Dir+"/") || s.isRootOf(dir) {
			left = append(left, "process "+filepath.Base(dir)+" "+text)
		}
	}
	return left, nil
}

// isRootOf says that the root file system of a process is on the stage. Other
// mounts say nothing: they spread to namespaces that have no part in it.
func (s *Stage) isRootOf(proc string) bool {
	mounts, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		return false // it has ended
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == "/" {
			return strings.Contains(line, s.Dir+"/")
		}
	}
	return false
}
