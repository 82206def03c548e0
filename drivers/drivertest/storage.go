package drivertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Storage is the harness of a storage driver.
type Storage struct {
	// New returns a storage without data, which ends with t. Required.
	New func(t *testing.T) drivers.Storage
	// Volume returns the plan's word for a volume of the tenant, which the
	// storage of the last New of t can make. Required.
	Volume func(t *testing.T, tenant, name string) plans.Volume
	// Reopen returns a storage on the data of the last New of t, as a new
	// process of ours would.
	Reopen func(t *testing.T) drivers.Storage
	// Write puts a file with the text into a dataset, Read returns its text
	// ("" if there is none); nil is a file under Dataset.Path.
	Write func(t *testing.T, d observed.Dataset, name, text string)
	Read  func(t *testing.T, d observed.Dataset, name string) string
	// Foreign puts data that is not ours where the volume of the order would
	// be made, and returns a check that they are untouched.
	Foreign func(t *testing.T, want drivers.VolumeOrder) (untouched func() error)
	// Use makes a dataset busy until release is called.
	Use func(t *testing.T, d observed.Dataset) (release func())
	// BreakClone has the next clone on s end halfway, as if we had died: s is
	// not used again, the suite goes on with the returned storage.
	BreakClone func(t *testing.T, s drivers.Storage, snapshot string, want drivers.VolumeOrder) drivers.Storage
	// BreakDestroy has a destroy on s end halfway, as if we had died, like
	// BreakClone.
	BreakDestroy func(t *testing.T, s drivers.Storage, id string) drivers.Storage
	// Parts returns a storage without data of which a part can be taken away.
	Parts func(t *testing.T) Parts
}

// RunStorage runs the suite.
func RunStorage(t *testing.T, h Storage) { run(t, StorageCases(h)) }

// StorageCases are the cases of the suite.
func StorageCases(h Storage) []Case {
	if h.Write == nil {
		h.Write, h.Read = writeFile, readFile
	}
	return suite(h, []named[Storage]{
		{"Create", Storage.create},
		{"CreateFresh", Storage.createFresh},
		{"CreateForeign", Storage.foreign},
		{"ObserveFilter", Storage.filter},
		{"Snapshot", Storage.snapshot},
		{"SnapshotOncePerAttempt", Storage.snapshotOnce},
		{"Clone", Storage.clone},
		{"CloneTwice", Storage.cloneTwice},
		{"CloneHalfMade", Storage.cloneHalf},
		{"SetRole", Storage.setRole},
		{"Promote", Storage.promote},
		{"PromoteMovesSnapshots", Storage.promoteMoves},
		{"Destroy", Storage.destroy},
		{"DestroyInUse", Storage.destroyInUse},
		{"DestroyOrigin", Storage.destroyOrigin},
		{"DestroyHalf", Storage.destroyHalf},
		{"Hold", Storage.hold},
		{"RollBack", Storage.rollBack},
		{"Lineage", Storage.lineage},
		{"Reopen", Storage.reopen},
		{"Written", Storage.written},
		{"Free", Storage.free},
		{"Tune", Storage.tune},
		{"PartAway", Storage.part},
	})
}

func writeFile(t *testing.T, d observed.Dataset, name, text string) {
	t.Helper()
	ok(t, os.WriteFile(filepath.Join(d.Path, name), []byte(text), 0o644))
}

func readFile(t *testing.T, d observed.Dataset, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.Path, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// order is an order for the tenant's volume "data".
func (h Storage) order(t *testing.T, slot plans.Slot, attempt string, role observed.Role) drivers.VolumeOrder {
	return drivers.VolumeOrder{
		Tenant: "suite", Name: "data", Slot: slot, Volume: h.Volume(t, "suite", "data"),
		Attempt: attempt, Generation: "g1:" + attempt, Role: role,
	}
}

// live makes a live dataset with "old" in the file "f".
func (h Storage) live(t *testing.T, s drivers.Storage) observed.Dataset {
	t.Helper()
	d, err := s.Create(bound(t), "1", h.order(t, plans.Blue, "a1", observed.Live))
	ok(t, err)
	h.Write(t, d, "f", "old")
	return d
}

// snap takes a snapshot of d for the attempt.
func (h Storage) snap(t *testing.T, s drivers.Storage, attempt string, d observed.Dataset) observed.Dataset {
	t.Helper()
	snaps, err := s.Snapshot(bound(t), "1", attempt, []string{d.ID}, nil)
	ok(t, err)
	if len(snaps) != 1 {
		t.Fatalf("%d snapshots of one dataset", len(snaps))
	}
	return snaps[0]
}

// see returns the dataset as it is observed, or nil.
func (h Storage) see(t *testing.T, s drivers.Storage, id string) *observed.Dataset {
	t.Helper()
	all, err := s.Observe(bound(t), "suite")
	ok(t, err)
	if !slices.IsSortedFunc(all, func(a, b observed.Dataset) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("datasets are not sorted by id")
	}
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// text fails the test unless the file "f" of d holds want.
func (h Storage) text(t *testing.T, d observed.Dataset, want string) {
	t.Helper()
	if got := h.Read(t, d, "f"); got != want {
		t.Errorf("%s holds %q, want %q", d.ID, got, want)
	}
}
