package zfs

import (
	"slices"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// ownPrefix begins the names of all properties that are ours.
const ownPrefix = "reconcile:"

// The user properties of a dataset of ours.
const (
	markFleet      = "reconcile:fleet"
	markNode       = "reconcile:node"
	markTenant     = "reconcile:tenant"
	markVolume     = "reconcile:volume"
	markSlot       = "reconcile:slot"
	markRole       = "reconcile:role"
	markAttempt    = "reconcile:attempt"
	markGeneration = "reconcile:generation"
	markCommit     = "reconcile:commit"
	// markParent is "yes" on a dataset that only holds those of a tenant, and goes
	// with the last of them.
	markParent = "reconcile:parent"
	// markReady is "yes" once what is made in several steps is whole.
	markReady = "reconcile:ready"
	// markInside is the folder of the data inside the dataset, "." for its root.
	// A folder of its own is there only while the dataset is mounted: what is
	// started on one that is not finds no path, instead of an empty volume.
	markInside = "reconcile:inside"
	// markMount is where the filesystem of a zvol is mounted, and markKind what
	// it is.
	markMount = "reconcile:mountpoint"
	markKind  = "reconcile:filesystem"
	// markTuning is the Tuning of the plan it was last given, see underWay.
	markTuning = "reconcile:tuning"
	// markLacks names what somebody set on the origin of a clone, and zfs refused
	// for the clone.
	markLacks = "reconcile:lacks"
)

const (
	yes        = "yes"
	insideData = "data"
	insideRoot = "."
)

// marks are the properties of an order's dataset. An empty one is left out: the
// value "" cannot be told from an inherited one that was cleared.
func (d *Driver) marks(want drivers.VolumeOrder) map[string]string {
	m := map[string]string{
		markFleet: d.cfg.Owner.Fleet, markNode: d.cfg.Owner.Node, markTenant: want.Tenant, markVolume: want.Name,
		markSlot: slotMark(want.Slot), markRole: string(want.Role), markAttempt: want.Attempt, markGeneration: want.Generation,
		markCommit: want.Commit,
	}
	for k, v := range m {
		if v == "" {
			delete(m, k)
		}
	}
	return m
}

// noSlot stands for a volume without a slot, which no order of the core has.
const noSlot = "-none-"

func slotMark(s plans.Slot) string {
	if s == "" {
		return noSlot
	}
	return string(s)
}

func slotOf(mark string) plans.Slot {
	if mark == noSlot {
		return ""
	}
	return plans.Slot(mark)
}

// options are properties as arguments of a command, sorted.
func options(m map[string]string) []string {
	var args []string
	for k, v := range m {
		args = append(args, k+"="+v)
	}
	slices.Sort(args)
	out := make([]string, 0, 2*len(args))
	for _, a := range args {
		out = append(out, "-o", a)
	}
	return out
}

// ours says that the dataset bears this fleet's and node's mark, set on itself.
func (d *Driver) ours(e *entry) bool {
	return e != nil && !e.snapshot() && e.local(markFleet) == d.cfg.Owner.Fleet && e.local(markNode) == d.cfg.Owner.Node && e.local(markTenant) != ""
}

// oursSnapshot says that a snapshot is one that we took. All it inherits is its
// dataset's, which never has this role: so has one that somebody else takes.
func (d *Driver) oursSnapshot(e *entry) bool {
	return e != nil && e.snapshot() && e.value(markRole) == string(observed.Origin) &&
		e.value(markFleet) == d.cfg.Owner.Fleet && e.value(markNode) == d.cfg.Owner.Node
}
