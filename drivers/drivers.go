package drivers

import (
	"context"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Owner is the mark on everything a driver makes.
type Owner struct {
	Fleet      string
	Node       string
	Controller string // id made with the state directory
}

// Traits says what a runtime can honour. A field of a plan that needs a trait
// the runtime lacks is refused by name (Unsupported).
type Traits struct {
	Name       string
	OwnNetwork bool // network: own, names resolve within the slot
	Publish    bool
	Resources  bool
	Caps       bool // capabilities and privileged
	User       bool // user other than the one it runs as
	ImageProbe bool // health.image
	Exec       bool
	Restarts   bool // restarts instances by itself, also after a reboot
}

// Runtime runs instances.
type Runtime interface {
	Traits() Traits

	// Observe returns the instances we own of the named tenants (of all, if
	// none are named), sorted by Key; foreign lists objects that bear a name
	// we would use for those tenants and are not ours.
	Observe(ctx context.Context, tenants ...string) (seen []observed.Instance, foreign map[string][]string, err error)

	// Pull makes the image (repository@digest) present and verified: content,
	// index and platform digest. progress may be nil; it is called with no lock
	// of the driver held, for who is told may look at the host. A missing image, a
	// denied pull or an image of another platform is Refused; an unreachable
	// registry is Environment.
	Pull(ctx context.Context, image string, progress func(Progress)) error

	// Present says whether the image could be started now without a network.
	Present(ctx context.Context, image string) (bool, error)

	// Start makes the instance exist and run exactly as ordered. Already so:
	// no-op. Exists with another digest or attempt-bound identity: Conflict
	// (the caller removes it first). A job that already ran in this attempt is
	// never run again. Restarting by itself follows Instance.Routed.
	Start(ctx context.Context, id string, want plans.Instance) error

	// Stop stops it with its stop signal and kills it after grace. Absent or
	// stopped already: no-op. A stopped instance stays and can be started
	// again by Start.
	Stop(ctx context.Context, id string, key plans.Key, grace time.Duration) error

	// Remove removes it and all that was made for it alone. Absent: no-op.
	Remove(ctx context.Context, id string, key plans.Key) error

	// SetRouted switches whether it restarts by itself. Absent: Conflict.
	SetRouted(ctx context.Context, id string, key plans.Key, routed bool) error

	// Exec runs a command in a running instance. out holds at most 4 KiB.
	Exec(ctx context.Context, key plans.Key, command []string) (exit int, out string, err error)

	// Listens proves below HTTP that the loopback port is answered by this
	// very instance: nil if so, Conflict naming the other owner if not.
	Listens(ctx context.Context, key plans.Key, port int) error

	// ImageHealth returns the verdict of the image's own healthcheck.
	ImageHealth(ctx context.Context, key plans.Key) (observed.Verdict, string, error)

	// Logs returns the last lines of its output.
	Logs(ctx context.Context, key plans.Key, lines int) (string, error)

	// Watch calls changed with the tenant whose instances may have moved, until
	// ctx ends or the stream breaks. It is a hint, never a fact; after it
	// returns the caller looks at everything.
	Watch(ctx context.Context, changed func(tenant string)) error

	// Prune removes images we pulled that are not in keep, and what else is
	// left of tenants not in tenants (networks, directories, temporary files).
	Prune(ctx context.Context, keep []string, tenants []string) error
}

// Progress of a pull or a copy, for a person to watch.
type Progress struct {
	What  string
	Done  int64 // bytes
	Total int64 // bytes, 0: not known
}

// Router leads requests to slots. No call ever changes the proxy's configuration.
type Router interface {
	// Observe returns the routes of the named tenants (of all, if none are
	// named), and the controller id that stands beside the table ("" if none).
	Observe(ctx context.Context, tenants ...string) (routes map[string]observed.Route, controller string, err error)

	// Set makes entry the whole of what the router does for the tenant, if the
	// tenant's revision is still rev (0: no entry yet); else Conflict. An
	// equal entry already there is a no-op whatever the revision. It returns
	// when the change is durable and every later request follows it.
	// Addresses of slots, Slot and Hold all change in one revision.
	Set(ctx context.Context, id string, entry plans.Entry, rev uint64) (uint64, error)

	// Delete removes the tenant's entry under the same rule. Absent: no-op.
	Delete(ctx context.Context, id string, tenant string, rev uint64) error

	// Check sends a marked request through the proxy to host and path, and
	// returns the slot and revision that answered. It bypasses holds.
	Check(ctx context.Context, host, path string) (Answer, error)

	// Cut ends the open requests of a tenant's slot (a drain's deadline) and
	// returns how many there were.
	Cut(ctx context.Context, id string, tenant string, slot plans.Slot) (int, error)

	// Claim writes our controller id beside the table.
	Claim(ctx context.Context, controller string) error
}

// Answer is what came back from a marked request.
type Answer struct {
	Slot     plans.Slot
	Revision uint64
	Status   int
}

// StorageTraits says what a storage driver can honour.
type StorageTraits struct {
	Name        string
	PointInTime bool // a snapshot is atomic over all volumes of a tenant
	CheapClone  bool // a snapshot or a clone copies no data: seconds, whatever the size
	Promote     bool
	// AtMost says that Written since a snapshot is a bound: a file that changed
	// counts whole, however little of it did.
	AtMost bool
	// Tuned: quota, reservation, compression, recordSize, size and filesystem
	// of a volume are honoured.
	Tuned bool
}

// VolumeOrder names one volume of one tenant and what is wanted of it.
type VolumeOrder struct {
	Tenant     string
	Name       string
	Slot       plans.Slot // Shared for a volume all slots use
	Volume     plans.Volume
	Attempt    string
	Generation string
	Commit     string // of the plan that asks for it, "" if that is not known
	Role       observed.Role
}

// HoldPrefix begins the tags of holds that are ours.
const HoldPrefix = "reconcile:"

// Storage keeps volumes.
type Storage interface {
	Traits() StorageTraits

	// Observe returns the datasets we own of the named tenants (of all, if none).
	// A storage that is Parted and could not see some of its parts returns what is
	// in the others with an *observed.Partial that names them; with any other error
	// nothing was seen.
	Observe(ctx context.Context, tenants ...string) ([]observed.Dataset, error)

	// Create makes an empty live dataset for the order, or finds the one made
	// for it before. Foreign data in the way: Refused.
	Create(ctx context.Context, id string, want VolumeOrder) (observed.Dataset, error)

	// Snapshot takes one snapshot over all the given live datasets, as one
	// atomic act where Traits say so. The same attempt twice: the same snapshots.
	// A storage without CheapClone copies all data for it, and tells progress.
	Snapshot(ctx context.Context, id string, attempt string, datasets []string, progress func(Progress)) ([]observed.Dataset, error)

	// Clone makes a writable dataset for the order from a snapshot. A half
	// made one is finished or made again, never taken for whole.
	Clone(ctx context.Context, id string, snapshot string, want VolumeOrder, progress func(Progress)) (observed.Dataset, error)

	// SetRole changes role and slot marks of a dataset. Same again: no-op.
	SetRole(ctx context.Context, id string, dataset string, role observed.Role, slot plans.Slot) error

	// Tune gives live data the volume's Tuning in place, and takes back what an
	// earlier one gave; Observe then shows it. What somebody else set and no Tuning
	// named stays. Already so: no-op. One that cannot be honoured: Refused.
	Tune(ctx context.Context, id string, dataset string, v plans.Volume) error

	// Promote makes a clone independent of its origin. The snapshot it came from
	// and all older ones are its own then: their Origin is the clone, and their ID
	// may be another one. Whoever means a snapshot for longer than a look keeps its
	// Volume and Attempt, which stay, as do its data, holds and date. What they were
	// taken of may be a clone of them now. Already so: no-op.
	Promote(ctx context.Context, id string, dataset string) error

	// Destroy removes one dataset. Absent: no-op. Refused if it is mounted or
	// in use, held, or the origin of a clone; it never removes anything else. What
	// was destroyed in part is Doomed until another call ends it.
	Destroy(ctx context.Context, id string, dataset string) error

	// Written returns the bytes of a dataset that were written since the
	// snapshot: what going back to it would leave behind. With snapshot "" it
	// is the size of all its data. Not there: Conflict.
	Written(ctx context.Context, dataset, snapshot string) (int64, error)

	// Hold keeps a snapshot from being destroyed, by whomever, until Release
	// with the same tag. A tag of ours begins with HoldPrefix. Held by it
	// already: no-op. Absent: Conflict.
	Hold(ctx context.Context, id string, snapshot, tag string) error

	// Release ends a hold of ours. Not held by the tag, or absent: no-op.
	Release(ctx context.Context, id string, snapshot, tag string) error

	// Free returns the bytes available to new data of the volume.
	Free(ctx context.Context, v plans.Volume) (int64, error)
}

// VolumeChecker is a Storage that can say beforehand whether it could keep a
// volume: its source, its fields, and whether what it is kept on is there.
type VolumeChecker interface {
	CheckVolume(ctx context.Context, v plans.Volume) error
}

// CloneChecker is a Storage that can say beforehand whether a clone of a dataset or
// snapshot could become what a volume says.
type CloneChecker interface {
	CheckClone(ctx context.Context, of string, v plans.Volume) error
}

// VolumesChecker is a Storage that can say beforehand whether it could take one
// snapshot over volumes of a tenant, by name.
type VolumesChecker interface {
	CheckVolumes(ctx context.Context, vs map[string]plans.Volume) error
}

// Parted is a Storage whose data lie in parts, such as pools, of which each can be
// away while the others are there. Who has neither data nor a volume in a part has
// nothing to do with it.
type Parted interface {
	// Part names the part that new data of the volume would be made in.
	Part(v plans.Volume) string

	// PartOf names the part a dataset or snapshot is in.
	PartOf(dataset string) string
}

// Pooled is a Storage that keeps volumes on several filesystems, and says on which:
// volumes that share one share what is free of it. Of one that is Parted its parts
// are asked for instead.
type Pooled interface {
	Pool(ctx context.Context, v plans.Volume) (string, error)
}

// Prober asks one instance how it is. Err of the returned error is class
// Environment if the prober itself could not look; an instance that answers
// badly, or not at all, is an Outcome and no error.
type Prober interface {
	Probe(ctx context.Context, t ProbeTarget) (Outcome, error)
}

// ProbeTarget is one running instance and the probe it is judged by.
type ProbeTarget struct {
	Key     plans.Key
	Runtime string // that runs it, by the host's name for it; "" is the default
	Health  plans.Health
	Ports   map[string]int // host ports by port name
}

// Outcome is one answer.
type Outcome struct {
	OK   bool
	Text string // "GET /health: 200 in 3ms", secrets removed
}
