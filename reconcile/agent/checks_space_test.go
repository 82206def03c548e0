package agent

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// shelves is a storage of which only the space counts: what is free by the pool a
// volume's source begins with, and what datasets take.
type shelves struct {
	drivers.Storage
	traits drivers.StorageTraits
	free   map[string]int64
	size   map[string]int64
}

func (s shelves) Traits() drivers.StorageTraits { return s.traits }

func (s shelves) Pool(_ context.Context, v plans.Volume) (string, error) {
	pool, _, _ := strings.Cut(v.Source, "/")
	return pool, nil
}

func (s shelves) Free(ctx context.Context, v plans.Volume) (int64, error) {
	pool, err := s.Pool(ctx, v)
	return s.free[pool], err
}

func (s shelves) Written(_ context.Context, id, _ string) (int64, error) { return s.size[id], nil }

const gib = 1 << 30

// executor is one whose only storage is s, with a floor of 1 GiB.
func (s shelves) executor() *executor {
	return &executor{hands: hands{storages: map[string]drivers.Storage{"dir": s}, defaultStorage: "dir", places: newPlaces()},
		keepFree: 1 * gib, now: time.Now, redact: &Redactor{}}
}

// spaceLine is the line of space that preflight has for the rooms of a tenant.
func spaceLine(t *testing.T, x *executor, tenant string, above map[string]int64, rooms ...reconcile.Room) observed.Check {
	t.Helper()
	lines := x.checks(t.Context(), reconcile.Action{Tenant: tenant, Checks: []reconcile.CheckOrder{{ID: "space", Kind: "space", Rooms: rooms, Above: above}}})
	return lines[0]
}

// cloned is a volume whose data are copied once.
func cloned(name, source string) reconcile.Room {
	return reconcile.Room{Volume: name, Spec: plans.Volume{Source: source}, Copies: []string{name}}
}

func TestSpaceIsSummed(t *testing.T) {
	s := shelves{traits: drivers.StorageTraits{Name: "dir"}, free: map[string]int64{"a": 50 * gib, "b": 50 * gib},
		size: map[string]int64{"data": 40 * gib, "logs": 40 * gib}}
	line := spaceLine(t, s.executor(), "acme", nil, cloned("data", "a/x"), cloned("logs", "a/y"))
	const want = "50.0 GiB free on dir a, 81.0 GiB needed: 80.0 GiB for the copies of data and logs, a floor of 1.0 GiB kept free for undoing"
	if line.OK || line.Text != want || line.Problem.Class != observed.Environment || line.Free["dir a"] != 50*gib {
		t.Errorf("two copies of 40 GiB on one disk: %+v", line)
	}
	if line := spaceLine(t, s.executor(), "acme", nil, cloned("data", "a/x"), cloned("logs", "b/y")); !line.OK {
		t.Errorf("on a disk each: %+v", line)
	}
	s.traits.CheapClone = true
	if line := spaceLine(t, s.executor(), "acme", nil, cloned("data", "a/x"), cloned("logs", "a/y")); !line.OK {
		t.Errorf("where a clone copies nothing: %+v", line)
	}
}

// TestSpaceIsPromisedOnce: tenants that move beside each other do not count on the
// same bytes, until what was promised is copied or given up.
func TestSpaceIsPromisedOnce(t *testing.T) {
	s := shelves{traits: drivers.StorageTraits{Name: "dir"}, free: map[string]int64{"a": 50 * gib}, size: map[string]int64{"data": 30 * gib}}
	x := s.executor()
	room := cloned("data", "a/x")
	for _, again := range []string{"first", "asked again"} {
		if line := spaceLine(t, x, "acme", nil, room); !line.OK {
			t.Fatalf("%s: %+v", again, line)
		}
	}
	if line := spaceLine(t, x, "duo", nil, room); line.OK || !strings.Contains(line.Text, "30.0 GiB promised to others that move") {
		t.Errorf("beside one that moves: %+v", line)
	}
	x.rooms.begins(reconcile.Action{Tenant: "acme", Verb: reconcile.Clone})
	if line := spaceLine(t, x, "duo", nil, room); line.OK {
		t.Errorf("while it copies: %+v", line)
	}
	x.rooms.begins(reconcile.Action{Tenant: "acme", Verb: reconcile.Start})
	if line := spaceLine(t, x, "duo", nil, room); !line.OK {
		t.Errorf("after it: %+v", line)
	}
	// A table that has another line that fails moves nobody.
	lines := x.checks(t.Context(), reconcile.Action{Tenant: "duo", Checks: []reconcile.CheckOrder{
		{ID: "space", Kind: "space", Rooms: []reconcile.Room{room}}, {ID: "x", Kind: "no such kind"}}})
	if !lines[0].OK || lines[1].OK {
		t.Fatalf("%+v", lines)
	}
	if line := spaceLine(t, x, "trio", nil, room); !line.OK {
		t.Errorf("beside one that does not move: %+v", line)
	}
}

// TestMoreThanWasNotEnough: what ran out of room is not tried again with as much.
func TestMoreThanWasNotEnough(t *testing.T) {
	s := shelves{traits: drivers.StorageTraits{Name: "dir"}, free: map[string]int64{"a": 50 * gib}, size: map[string]int64{"data": 30 * gib}}
	above := map[string]int64{"dir a": 49 * gib}
	line := spaceLine(t, s.executor(), "acme", above, cloned("data", "a/x"))
	if line.OK || !strings.Contains(line.Text, "the last try ran out of room with 49.0 GiB free") {
		t.Errorf("with hardly more: %+v", line)
	}
	s.free["a"] = 60 * gib
	if line := spaceLine(t, s.executor(), "acme", above, cloned("data", "a/x")); !line.OK {
		t.Errorf("with more: %+v", line)
	}
}
