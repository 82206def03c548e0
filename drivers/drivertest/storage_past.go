package drivertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Storage) hold(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	const one, two = drivers.HoldPrefix + "way-back", drivers.HoldPrefix + "rollout"
	for _, tag := range []string{one, two, one} {
		ok(t, s.Hold(bound(t), "1", snap.ID, tag))
	}
	seen := h.see(t, s, snap.ID)
	if seen == nil || !slices.Equal(seen.Holds, []string{two, one}) {
		t.Fatalf("held by two, observed as %+v", seen)
	}
	if p := wantClass(t, s.Destroy(bound(t), "2", snap.ID), observed.Refused); !strings.Contains(p.Text, one) {
		t.Errorf("a person is not told who holds it: %s", p.Text)
	}
	for range 2 {
		ok(t, s.Release(bound(t), "3", snap.ID, one))
	}
	wantClass(t, s.Destroy(bound(t), "4", snap.ID), observed.Refused)
	ok(t, s.Release(bound(t), "5", snap.ID, two))
	if seen := h.see(t, s, snap.ID); seen == nil || len(seen.Holds) != 0 {
		t.Errorf("released and observed as %+v", seen)
	}
	ok(t, s.Destroy(bound(t), "6", snap.ID))
	ok(t, s.Release(bound(t), "7", snap.ID, two))
	wantClass(t, s.Hold(bound(t), "8", snap.ID, one), observed.Conflict)
}

// rollBack serves old data again: a clone of the snapshot takes the place of the
// live data, which are kept aside with what was written since.
func (h Storage) rollBack(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	h.Write(t, d, "f", "new")
	h.snap(t, s, "a3", d) // a later snapshot is no obstacle
	ok(t, s.SetRole(bound(t), "1", d.ID, observed.Discarded, plans.Blue))
	back, err := s.Clone(bound(t), "2", snap.ID, h.order(t, plans.Blue, "a4", observed.Live), nil)
	ok(t, err)
	if back.ID == d.ID {
		t.Fatal("the old data took the place of what was written since")
	}
	h.text(t, back, "old")
	h.text(t, d, "new")
	seen := h.see(t, s, d.ID)
	if seen == nil || seen.Role != observed.Discarded || !seen.Ready {
		t.Errorf("the discarded side is observed as %+v", seen)
	}
}

// lineage upgrades three times, and retires what each upgrade leaves.
func (h Storage) lineage(t *testing.T) {
	s := h.New(t)
	live := h.live(t, s)
	for i, slot := range []plans.Slot{plans.Green, plans.Blue, plans.Green} {
		attempt := "a" + string(rune('2'+i))
		snap := h.snap(t, s, attempt, live)
		next, err := s.Clone(bound(t), "1", snap.ID, h.order(t, slot, attempt, observed.Live), nil)
		ok(t, err)
		h.Write(t, next, "f", attempt)
		wantClass(t, s.Destroy(bound(t), "2", live.ID), observed.Refused) // its snapshot is the origin of what serves
		ok(t, s.Promote(bound(t), "3", next.ID))
		if seen := h.see(t, s, next.ID); seen == nil || seen.Origin != "" {
			t.Fatalf("promoted and observed as %+v", seen)
		}
		ok(t, s.SetRole(bound(t), "4", live.ID, observed.Discarded, live.Slot))
		ok(t, s.Destroy(bound(t), "5", live.ID))
		h.text(t, next, attempt)
		live = next
	}
	// What is left are the live data and the snapshots of three upgrades, of
	// each of which the old data can be had again.
	all, err := s.Observe(bound(t), "suite")
	ok(t, err)
	var attempts []string
	for _, d := range all {
		if d.Role == observed.Origin {
			attempts = append(attempts, d.Attempt)
		} else if d.ID != live.ID {
			t.Errorf("left over: %+v", d)
		}
	}
	slices.Sort(attempts)
	if !slices.Equal(attempts, []string{"a2", "a3", "a4"}) {
		t.Fatalf("snapshots of %q are left, want those of three upgrades", attempts)
	}
	for _, d := range all {
		if d.Attempt == "a3" && d.Role == observed.Origin {
			back, err := s.Clone(bound(t), "6", d.ID, h.order(t, plans.Blue, "a5", observed.Live), nil)
			ok(t, err)
			h.text(t, back, "a2")
		}
	}
}
