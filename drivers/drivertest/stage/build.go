package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds reconcile and reconcile-caddy into dir as `make build` does, with
// the build tags given for reconcile. A reconcile-caddy that is in dir stays.
func Build(ctx context.Context, dir string, tags ...string) error {
	for _, name := range []string{"reconcile", "reconcile-caddy"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil && name == "reconcile-caddy" {
			continue
		}
		args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name)}
		if name == "reconcile" && len(tags) > 0 {
			args = append(args, "-tags", strings.Join(tags, ","))
		}
		cmd := exec.CommandContext(ctx, "go", append(args, "github.com/gitops-fleet/reconcile/cmd/"+name)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}
