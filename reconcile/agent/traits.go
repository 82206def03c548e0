package agent

import (
	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
)

// Unsupported names the fields of s that a runtime with traits t cannot honour,
// as a plan writes them.
func Unsupported(s plans.Service, t drivers.Traits) []string {
	var out []string
	refuse := func(able, used bool, field string) {
		if used && !able {
			out = append(out, field)
		}
	}
	refuse(t.Publish, len(s.Publish) > 0, "publish")
	refuse(t.Resources, s.Resources != plans.Resources{}, "resources")
	refuse(t.Caps, len(s.Capabilities) > 0, "capabilities")
	refuse(t.Caps, s.Privileged, "privileged")
	refuse(t.User, s.User != "", "user")
	refuse(t.Exec, s.Health != nil && s.Health.Exec != nil, "health.exec")
	refuse(t.ImageProbe, s.Health != nil && s.Health.Image, "health.image")
	return out
}
