package schema

import (
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// foreign are names other tools give to fields we call otherwise.
var foreign = map[string]string{
	"environment": "env", "entrypoint": "command", "cmd": "args", "depends_on": "after",
	"dependsOn": "after", "healthcheck": "health", "volumes": "mounts", "volumeMounts": "mounts",
	"working_dir": "workdir", "workingDir": "workdir", "network_mode": "network", "cap_add": "capabilities",
	"stop_grace_period": "stopTimeout", "env_file": "envFrom", "mem_limit": "memory",
	"domain": "hosts", "domains": "hosts", "host": "hosts", "replicas": "", "containers": "services",
}

// knownAs returns the known name that was most likely meant, or "".
func knownAs(name string, known []string) string {
	if ours, ok := foreign[name]; ok && slices.Contains(known, ours) {
		return ours
	}
	return nearest(name, known)
}

// nearest returns the candidate closest to name, or "" when none is close
// enough to be a slip of the hand. Case, hyphens and underscores do not count.
func nearest(name string, candidates []string) string {
	plain := plainName(name)
	best, least := "", 1+min(2, max(1, len(plain)/3))
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if d := plans.Distance(plain, plainName(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

func plainName(s string) string {
	if len(s) > 64 {
		s = s[:64] // nothing we know is longer
	}
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s))
}
