package stage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
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
	running, err := s.Processes()
	if err != nil {
		return nil, err
	}
	var left []string
	for _, p := range running {
		left = append(left, fmt.Sprintf("process %d %s", p.PID, p.Command))
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
	for _, list := range [][]string{
		{"ps", "-a", "--format", "container {{.Names}}"},
		{"network", "ls", "--format", "network {{.Name}}"},
		{"volume", "ls", "--format", "volume {{.Name}}"},
	} {
		// Other stages may use the same engine.
		cmd := exec.CommandContext(ctx, "docker", append(list, "--filter", "label=reconcile.node="+s.Node)...)
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.DockerHost)
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("docker %s: %w", strings.Join(list, " "), err)
		}
		for line := range strings.Lines(string(out)) {
			left = append(left, strings.TrimSpace(line))
		}
	}
	return left, nil
}
