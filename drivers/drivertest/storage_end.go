package drivertest

import (
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Storage) setRole(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	for range 2 {
		ok(t, s.SetRole(bound(t), "1", d.ID, observed.Discarded, plans.Green))
		if seen := h.see(t, s, d.ID); seen == nil || seen.Role != observed.Discarded || seen.Slot != plans.Green || seen.Path != d.Path {
			t.Fatalf("observed as %+v", seen)
		}
	}
	h.text(t, d, "old")
	wantClass(t, s.SetRole(bound(t), "2", d.ID+"-nobody", observed.Live, plans.Blue), observed.Conflict)
}

func (h Storage) promote(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	clone, err := s.Clone(bound(t), "1", snap.ID, h.order(t, plans.Green, "a2", observed.Live), nil)
	ok(t, err)
	h.Write(t, clone, "f", "new")
	for range 2 {
		ok(t, s.Promote(bound(t), "2", clone.ID))
	}
	// What it came from can go now, the old side first, and takes nothing along.
	ok(t, s.SetRole(bound(t), "3", d.ID, observed.Discarded, plans.Blue))
	if seen := h.see(t, s, snap.ID); seen != nil {
		if len(seen.Clones) != 0 {
			t.Errorf("after the promotion the snapshot has clones: %+v", seen)
		}
		ok(t, s.Destroy(bound(t), "4", snap.ID))
	}
	ok(t, s.Destroy(bound(t), "5", d.ID))
	seen := h.see(t, s, clone.ID)
	if seen == nil || !seen.Ready {
		t.Fatalf("the promoted clone is observed as %+v", seen)
	}
	h.text(t, *seen, "new")
	wantClass(t, s.Promote(bound(t), "6", d.ID), observed.Conflict)
}

// promoteMoves holds what is kept of snapshots over a promotion, by which they may get
// another name: they are found by their attempt, held as before, and can be cloned.
func (h Storage) promoteMoves(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	h.snap(t, s, "a2", d)
	h.Write(t, d, "f", "mid")
	snap := h.snap(t, s, "a3", d)
	const tag = drivers.HoldPrefix + "way-back"
	ok(t, s.Hold(bound(t), "1", snap.ID, tag))
	clone, err := s.Clone(bound(t), "2", snap.ID, h.order(t, plans.Green, "a3", observed.Live), nil)
	ok(t, err)
	h.Write(t, clone, "f", "new")
	past := func() map[string]observed.Dataset {
		all, err := s.Observe(bound(t), "suite")
		ok(t, err)
		found := map[string]observed.Dataset{}
		for _, o := range all {
			if o.Role == observed.Origin {
				found[o.Attempt] = o
			}
		}
		return found
	}
	before := past()
	ok(t, s.Promote(bound(t), "3", clone.ID))
	after := past()
	for _, attempt := range []string{"a2", "a3"} {
		was, is := before[attempt], after[attempt]
		if is.Origin != clone.ID || is.Volume != was.Volume || is.Generation != was.Generation || !is.Ready ||
			!is.Created.Equal(was.Created) || !slices.Equal(is.Holds, was.Holds) {
			t.Errorf("the snapshot %+v is %+v after the promotion of %s", was, is, clone.ID)
		}
	}
	if len(after) != len(before) || !slices.Equal(after["a3"].Holds, []string{tag}) {
		t.Errorf("after the promotion the snapshots are %+v", after)
	}
	_, err = s.Written(bound(t), clone.ID, after["a2"].ID)
	ok(t, err)
	back, err := s.Clone(bound(t), "4", after["a2"].ID, h.order(t, plans.Blue, "a4", observed.Live), nil)
	ok(t, err)
	h.text(t, back, "old")
	h.text(t, clone, "new")
	h.text(t, d, "mid")
	ok(t, s.Release(bound(t), "5", after["a3"].ID, tag))
	if held := h.see(t, s, after["a3"].ID); held == nil || len(held.Holds) > 0 {
		t.Errorf("the snapshot that was released under its new name is %+v", held)
	}
}

func (h Storage) destroy(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	other, err := s.Create(bound(t), "1", h.order(t, plans.Green, "a1", observed.Live))
	ok(t, err)
	h.Write(t, other, "f", "other")
	for range 2 {
		ok(t, s.Destroy(bound(t), "2", d.ID))
		if seen := h.see(t, s, d.ID); seen != nil {
			t.Fatalf("still there: %+v", seen)
		}
	}
	h.text(t, other, "other")
	again, err := s.Create(bound(t), "3", h.order(t, plans.Blue, "a2", observed.Live))
	ok(t, err)
	h.text(t, again, "")
}

func (h Storage) destroyInUse(t *testing.T) {
	if h.Use == nil {
		t.Skip("the harness cannot use a dataset")
	}
	s := h.New(t)
	d := h.live(t, s)
	release := h.Use(t, d)
	wantClass(t, s.Destroy(bound(t), "1", d.ID), observed.Refused)
	h.text(t, d, "old")
	if seen := h.see(t, s, d.ID); seen == nil {
		t.Error("refused and gone")
	}
	release()
	ok(t, s.Destroy(bound(t), "2", d.ID))
}

func (h Storage) destroyOrigin(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	clone, err := s.Clone(bound(t), "1", snap.ID, h.order(t, plans.Green, "a2", observed.Live), nil)
	ok(t, err)
	wantClass(t, s.Destroy(bound(t), "2", snap.ID), observed.Refused)
	h.text(t, clone, "old")
	ok(t, s.Destroy(bound(t), "3", clone.ID))
	ok(t, s.Destroy(bound(t), "4", snap.ID))
	h.text(t, d, "old")
}

// destroyHalf: what a destroy left that was cut off is shown until another one has
// ended it, and is good for nothing else.
func (h Storage) destroyHalf(t *testing.T) {
	if h.BreakDestroy == nil {
		t.Skip("the harness cannot break a destroy")
	}
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	want := h.order(t, plans.Green, "a2", observed.Live)
	clone, err := s.Clone(bound(t), "1", snap.ID, want, nil)
	ok(t, err)
	s = h.BreakDestroy(t, s, clone.ID)
	seen := h.see(t, s, clone.ID)
	if seen == nil || !seen.Doomed || seen.Ready || seen.Role != observed.Discarded || seen.Origin != "" {
		t.Fatalf("half destroyed and observed as %+v", seen)
	}
	if from := h.see(t, s, snap.ID); from == nil || len(from.Clones) > 0 {
		t.Errorf("a snapshot is observed as %+v, for a clone that is half destroyed", from)
	}
	wantClass(t, s.SetRole(bound(t), "2", clone.ID, observed.Live, plans.Green), observed.Conflict)
	wantClass(t, s.Promote(bound(t), "3", clone.ID), observed.Conflict)
	_, err = s.Snapshot(bound(t), "4", "a3", []string{clone.ID}, nil)
	wantClass(t, err, observed.Conflict)
	_, err = s.Written(bound(t), clone.ID, "")
	wantClass(t, err, observed.Conflict)
	for range 2 {
		ok(t, s.Destroy(bound(t), "5", clone.ID))
		if seen := h.see(t, s, clone.ID); seen != nil {
			t.Fatalf("still there: %+v", seen)
		}
	}
	h.text(t, d, "old")
	again, err := s.Clone(bound(t), "6", snap.ID, want, nil)
	ok(t, err)
	h.text(t, again, "old")

	// Ordered anew it is made anew, though nobody ended its destruction.
	s = h.BreakDestroy(t, s, again.ID)
	again, err = s.Clone(bound(t), "7", snap.ID, want, nil)
	ok(t, err)
	h.text(t, again, "old")
	if seen := h.see(t, s, again.ID); seen == nil || !seen.Ready || seen.Doomed || seen.Role != observed.Live {
		t.Errorf("made anew and observed as %+v", seen)
	}
}

func (h Storage) reopen(t *testing.T) {
	if h.Reopen == nil {
		t.Skip("the harness cannot reopen")
	}
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	want := h.order(t, plans.Green, "a2", observed.Live)
	clone, err := s.Clone(bound(t), "1", snap.ID, want, nil)
	ok(t, err)
	before, err := s.Observe(bound(t))
	ok(t, err)

	s = h.Reopen(t)
	after, err := s.Observe(bound(t))
	ok(t, err)
	if len(before) != len(after) {
		t.Fatalf("a new process sees %+v, the old one saw %+v", after, before)
	}
	for i := range before {
		b, a := before[i], after[i]
		if a.ID != b.ID || a.Path != b.Path || a.Role != b.Role || a.Slot != b.Slot || a.Origin != b.Origin ||
			a.Attempt != b.Attempt || a.Generation != b.Generation || a.Ready != b.Ready || !a.Created.Equal(b.Created) {
			t.Errorf("a new process sees %+v, the old one saw %+v", a, b)
		}
	}
	again, err := s.Clone(bound(t), "1", snap.ID, want, nil)
	ok(t, err)
	if again.ID != clone.ID {
		t.Errorf("made %s again as %s", clone.ID, again.ID)
	}
	if same := h.snap(t, s, "a2", d); same.ID != snap.ID {
		t.Errorf("took %s again as %s", snap.ID, same.ID)
	}
}

// written holds what is told before a rollback to what it would leave behind.
func (h Storage) written(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	measure := func(id, since string) int64 {
		bytes, err := s.Written(bound(t), id, since)
		ok(t, err)
		return bytes
	}
	before := measure(d.ID, snap.ID)
	h.Write(t, d, "more", strings.Repeat("written since ", 1<<16))
	if all, since := measure(d.ID, ""), measure(d.ID, snap.ID); since <= before || all < since-before {
		t.Errorf("%d bytes were written since the snapshot (%d before), of %d", since, before, all)
	}
	clone, err := s.Clone(bound(t), "1", snap.ID, h.order(t, plans.Green, "a2", observed.Live), nil)
	ok(t, err)
	// A filesystem writes to itself by being mounted, and less than what was written.
	const mounting = 768 << 10
	if since := measure(clone.ID, snap.ID); since > before+mounting {
		t.Errorf("a clone nobody wrote to has %d bytes since its origin", since)
	}
	_, err = s.Written(bound(t), d.ID+"-nobody", "")
	wantClass(t, err, observed.Conflict)
	_, err = s.Written(bound(t), d.ID, snap.ID+"-nobody")
	wantClass(t, err, observed.Conflict)
}

func (h Storage) free(t *testing.T) {
	s := h.New(t)
	bytes, err := s.Free(bound(t), h.Volume(t, "suite", "data"))
	ok(t, err)
	if bytes <= 0 {
		t.Errorf("%d bytes are free", bytes)
	}
}
