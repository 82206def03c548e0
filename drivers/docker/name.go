package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// prefix begins the name of every container and network of ours.
const prefix = "reconcile-"

// mostName is the longest name we give: a DNS label (RFC 1035 §2.3.4), so that
// a container's name can be looked up in its networks.
const mostName = 63

// Name returns the name of the container of an instance,
// reconcile-<fleet>-<tenant>-<slot>-<service>. It ends in a hash of the parts
// where it would be longer than 63 bytes, or where a part holds a slot's word
// and two keys could meet in one name.
func Name(fleet string, key plans.Key) string {
	return bounded(holdsSlot(key.Tenant) || holdsSlot(key.Service), fleet, key.Tenant, string(key.Slot), key.Service)
}

// NetworkName returns the name of a slot's network.
func NetworkName(fleet, tenant string, slot plans.Slot) string {
	return bounded(false, fleet, tenant, string(slot))
}

func bounded(hash bool, parts ...string) string {
	name := prefix + strings.Join(parts, "-")
	if len(name) <= mostName && !hash {
		return name
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	tail := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:min(len(name), mostName-len(tail))], "-") + tail
}

func holdsSlot(part string) bool {
	for _, word := range strings.Split(part, "-") {
		if isSlot(plans.Slot(word)) {
			return true
		}
	}
	return false
}

func isSlot(s plans.Slot) bool { return s == plans.Blue || s == plans.Green || s == plans.Shared }

// tenantOf reads the tenant out of a name of ours, "" if it does not have one.
// Names that were cut short may not tell.
func tenantOf(fleet, name string) string {
	rest, ok := strings.CutPrefix(name, prefix+fleet+"-")
	if !ok {
		return ""
	}
	parts := strings.Split(rest, "-")
	for i := 1; i < len(parts); i++ {
		if isSlot(plans.Slot(parts[i])) {
			return strings.Join(parts[:i], "-")
		}
	}
	return ""
}
