package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/api/types/container"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// ImageHealth implements drivers.Runtime.
func (r *Runtime) ImageHealth(ctx context.Context, key plans.Key) (observed.Verdict, string, error) {
	const op = "look at the health of"
	c, err := r.find(ctx, op, key)
	if err != nil {
		return observed.Unproven, "", err
	}
	if c == nil || !c.State.Running {
		return observed.Unproven, "", conflict(op, key.String(), "it does not run")
	}
	h := c.State.Health
	if h == nil || h.Status == container.NoHealthcheck || h.Status == "" {
		return observed.Unproven, "", refused(op, key.String(), "the image has no healthcheck", "add HEALTHCHECK to the image, or write another probe in the plan")
	}
	text := string(h.Status)
	if n := len(h.Log); n > 0 && h.Log[n-1] != nil {
		last := h.Log[n-1]
		out := &tail{most: mostExec}
		out.Write([]byte(strings.TrimSpace(last.Output)))
		text = fmt.Sprintf("%s: exit %d: %s", h.Status, last.ExitCode, out)
	}
	switch h.Status {
	case container.Healthy:
		return observed.Healthy, text, nil
	case container.Unhealthy:
		return observed.Failing, text, nil
	}
	return observed.Unproven, text, nil
}
