package drivertest

import (
	"errors"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Parts is a storage of which one part can be taken away.
type Parts struct {
	// Open returns the storage as a new process of ours would have it. Required.
	Open func() drivers.Storage
	// Stays and Leaves are volumes in the part that stays and in the one that
	// leaves. Required.
	Stays, Leaves plans.Volume
	// Leave takes the part away, Return brings it back. Required.
	Leave, Return func()
}

// part: who has nothing in a part that is away is seen and served as ever, and who
// has is not shown without it.
func (h Storage) part(t *testing.T) {
	if h.Parts == nil {
		t.Skip("the storage has no parts")
	}
	p := h.Parts(t)
	s := p.Open()
	parted, is := s.(drivers.Parted)
	if !is {
		t.Fatal("a storage with parts is no drivers.Parted")
	}
	order := func(tenant string, v plans.Volume) drivers.VolumeOrder {
		return drivers.VolumeOrder{Tenant: tenant, Name: "data", Slot: plans.Blue, Volume: v, Role: observed.Live, Attempt: "a1"}
	}
	stays, err := s.Create(bound(t), "1", order("stays", p.Stays))
	ok(t, err)
	leaves, err := s.Create(bound(t), "2", order("leaves", p.Leaves))
	ok(t, err)
	gone := parted.Part(p.Leaves)
	if parted.PartOf(leaves.ID) != gone || parted.PartOf(stays.ID) == gone || parted.Part(p.Stays) != parted.PartOf(stays.ID) {
		t.Fatalf("volumes of the parts %s and %s are made as %s and %s", parted.Part(p.Stays), gone, stays.ID, leaves.ID)
	}
	look := func(s drivers.Storage, tenants ...string) (ids []string, away bool) {
		t.Helper()
		seen, err := s.Observe(bound(t), tenants...)
		var partial *observed.Partial
		if err != nil && (!errors.As(err, &partial) || len(partial.Parts) != 1 || partial.Parts[gone] == nil || partial.Parts[gone].Class != observed.Environment) {
			t.Fatalf("with %s away the look ended with %v", gone, err)
		}
		for _, d := range seen {
			ids = append(ids, d.ID)
		}
		return ids, err != nil
	}
	if ids, away := look(s); len(ids) != 2 || away {
		t.Fatalf("with all there, %q are seen", ids)
	}
	p.Leave()
	for n, s := range []drivers.Storage{s, p.Open()} {
		if ids, away := look(s); len(ids) != 1 || ids[0] != stays.ID || !away {
			t.Errorf("process %d sees %q, want %s, and that the rest is away: %v", n, ids, stays.ID, away)
		}
		if ids, _ := look(s, "stays"); len(ids) != 1 {
			t.Errorf("process %d sees %q of who has nothing to do with it", n, ids)
		}
		if ids, away := look(s, "leaves"); len(ids) != 0 || !away {
			t.Errorf("process %d sees %q of who has, and that it is away: %v", n, ids, away)
		}
		again, err := s.Create(bound(t), "3", order("stays", p.Stays))
		ok(t, err)
		if again.ID != stays.ID {
			t.Errorf("made %s again as %s", stays.ID, again.ID)
		}
		_, err = s.Create(bound(t), "4", order("leaves", p.Leaves))
		wantClass(t, err, observed.Environment)
	}
	snaps, err := s.Snapshot(bound(t), "5", "a2", []string{stays.ID}, nil)
	ok(t, err)
	clone := order("stays", p.Stays)
	clone.Slot, clone.Attempt = plans.Green, "a2"
	_, err = s.Clone(bound(t), "6", snaps[0].ID, clone, nil)
	ok(t, err)
	p.Return()
	if ids, away := look(s, "leaves"); len(ids) != 1 || ids[0] != leaves.ID || away {
		t.Errorf("after its return %q are seen, want %s", ids, leaves.ID)
	}
}
