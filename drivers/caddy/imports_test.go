package caddy

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNoCaddyInside: the proxy is another process; what drives it links none
// of it, and neither does reconcile.
func TestNoCaddyInside(t *testing.T) {
	const module = "github.com/gitops-fleet/reconcile"
	for _, pkg := range []string{module + "/drivers/caddy", module + "/drivers/drivertest/load", module + "/cmd/reconcile"} {
		out, err := exec.Command("go", "list", "-deps", pkg).Output()
		if err != nil {
			t.Errorf("list what %s imports: %v", pkg, err)
			continue
		}
		for dep := range strings.Lines(string(out)) {
			if strings.Contains(dep, "caddyserver") || strings.Contains(dep, "/reconcile-caddy") {
				t.Errorf("%s links %s", pkg, strings.TrimSpace(dep))
			}
		}
	}
}
