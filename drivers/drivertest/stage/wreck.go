package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Wreck ends by force whatever still runs on the stage: for stories that end
// half way. It may be called on a stage that is clean.
func (s *Stage) Wreck(ctx context.Context) error {
	for {
		left, err := s.Processes()
		if err != nil {
			return err
		}
		if len(left) == 0 {
			break
		}
		for _, p := range left {
			// It may have ended meanwhile; whether it has is looked at again.
			_ = syscall.Kill(p.PID, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes do not end: %v", left)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if s.Runtime != "docker" {
		return nil
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", `docker ps -aq --filter label=reconcile.node="$NODE" | xargs -r docker rm -f -v >/dev/null &&
		docker network ls -q --filter label=reconcile.node="$NODE" | xargs -r docker network rm >/dev/null`)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+s.DockerHost, "NODE="+s.Node)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("remove containers and networks of %s: %w\n%s", s.Node, err, out)
	}
	return nil
}
