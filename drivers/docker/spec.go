package docker

import (
	"github.com/moby/moby/api/types/container"

	"github.com/gitops-fleet/reconcile/plans"
)

// labelRestart keeps the plan's word on restarts, which a policy that was
// switched off does not show.
const labelRestart = labelPrefix + "restart"

// specOf returns of an existing container's service what decides on restarts.
func specOf(c *container.InspectResponse) plans.Service {
	spec := plans.Service{Restart: c.Config.Labels[labelRestart]}
	if at := c.Config.Labels[labelJob]; at != "" {
		spec.Job = &plans.Job{At: at}
	}
	return spec
}

// neverRestarts says that no restart policy ever shows whether it is routed.
func neverRestarts(spec plans.Service) bool { return spec.Job != nil || spec.Restart == "never" }
