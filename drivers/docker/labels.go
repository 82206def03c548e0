package docker

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
)

// The labels of containers and networks. Whether an instance is routed is not
// among them: labels cannot change, so its restart policy says it.
const (
	labelPrefix     = "reconcile."
	labelFleet      = labelPrefix + "fleet"
	labelNode       = labelPrefix + "node"
	labelController = labelPrefix + "controller"
	labelTenant     = labelPrefix + "tenant"
	labelSlot       = labelPrefix + "slot"
	labelService    = labelPrefix + "service"
	labelDigest     = labelPrefix + "digest" // of the service
	labelGeneration = labelPrefix + "generation"
	labelAttempt    = labelPrefix + "attempt"
	labelCommit     = labelPrefix + "commit"
	labelJob        = labelPrefix + "job"    // when it runs; absent: no job
	labelImage      = labelPrefix + "image"  // as ordered
	labelInputs     = labelPrefix + "inputs" // keyed digest of host files
	labelPorts      = labelPrefix + "ports"  // name=port inside,…
)

func slotLabels(o drivers.Owner, tenant string, slot plans.Slot) map[string]string {
	return map[string]string{
		labelFleet: o.Fleet, labelNode: o.Node, labelController: o.Controller,
		labelTenant: tenant, labelSlot: string(slot),
	}
}

func instanceLabels(o drivers.Owner, want plans.Instance, inputs string) map[string]string {
	labels := maps.Clone(want.Spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, slotLabels(o, want.Tenant, want.Slot))
	labels[labelService] = want.Service
	labels[labelDigest] = want.Digest
	labels[labelImage] = want.Spec.Image
	for name, value := range map[string]string{
		labelGeneration: want.Generation, labelAttempt: want.Attempt, labelCommit: want.Commit,
		labelInputs: inputs, labelPorts: portsLabel(want), labelRestart: want.Spec.Restart,
	} {
		if value != "" {
			labels[name] = value
		}
	}
	if want.Spec.Job != nil {
		labels[labelJob] = want.Spec.Job.At
	}
	return labels
}

// owned says whether the labels are this fleet's and node's mark.
func owned(o drivers.Owner, labels map[string]string) bool {
	return labels[labelFleet] == o.Fleet && labels[labelNode] == o.Node && labels[labelTenant] != ""
}

func keyOf(labels map[string]string) plans.Key {
	return plans.Key{Tenant: labels[labelTenant], Slot: plans.Slot(labels[labelSlot]), Service: labels[labelService]}
}

// portsLabel writes the port inside the instance of every named host port; on
// the host's own network that is the host port itself.
func portsLabel(want plans.Instance) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(want.Ports)) {
		parts = append(parts, name+"="+strconv.Itoa(insidePort(want, name)))
	}
	return strings.Join(parts, ",")
}

func insidePort(want plans.Instance, name string) int {
	if want.Spec.Network == "host" {
		return want.Ports[name]
	}
	return want.Spec.Ports[name]
}

// insidePorts reads what portsLabel wrote.
func insidePorts(label string) map[string]int {
	ports := map[string]int{}
	for part := range strings.SplitSeq(label, ",") {
		name, value, _ := strings.Cut(part, "=")
		if n, err := strconv.Atoi(value); err == nil {
			ports[name] = n
		}
	}
	return ports
}
