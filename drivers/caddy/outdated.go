package caddy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Outdated says in which way the proxy that runs is not the one that would be
// started now, "" if it is, or if none runs: it goes on as it was started.
func (p Proxy) Outdated(ctx context.Context) string {
	h, err := p.health(ctx)
	if err != nil {
		return ""
	}
	if p.Dir, err = filepath.Abs(p.Dir); err != nil {
		return ""
	}
	settings, err := p.settings()
	if err != nil {
		return ""
	}
	if p.differs(settings) {
		return fmt.Sprintf("the proxy (process %d, since %s) runs with other settings than this host's configuration asks for", h.PID, h.Started.Local().Format("2006-01-02 15:04"))
	}
	path, err := exec.LookPath(p.Binary)
	if err != nil {
		return ""
	}
	now, err := os.Stat(path)
	if err != nil {
		return ""
	}
	// Replaced in place or elsewhere: another file in any case.
	if runs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", h.PID)); err == nil && !os.SameFile(runs, now) {
		return fmt.Sprintf("the proxy (process %d, since %s) runs another build than %s", h.PID, h.Started.Local().Format("2006-01-02 15:04"), path)
	}
	return ""
}
