package drivertest

import (
	"slices"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Storage) create(t *testing.T) {
	s := h.New(t)
	want := h.order(t, plans.Blue, "a1", observed.Live)
	d, err := s.Create(bound(t), "1", want)
	ok(t, err)
	if d.ID == "" || d.Path == "" || d.Tenant != "suite" || d.Volume != "data" || d.Slot != plans.Blue ||
		d.Role != observed.Live || d.Attempt != "a1" || d.Generation != "g1:a1" || d.Origin != "" || !d.Ready {
		t.Errorf("made %+v", d)
	}
	h.Write(t, d, "f", "old")
	again, err := s.Create(bound(t), "1", want)
	ok(t, err)
	if again.ID != d.ID || again.Path != d.Path {
		t.Errorf("made %s again as %s", d.ID, again.ID)
	}
	h.text(t, again, "old")
	// A live volume that is not fresh on each upgrade is found by a later attempt.
	later, err := s.Create(bound(t), "2", h.order(t, plans.Blue, "a2", observed.Live))
	ok(t, err)
	if later.ID != d.ID {
		t.Errorf("a later attempt made %s beside %s", later.ID, d.ID)
	}
	if seen := h.see(t, s, d.ID); seen == nil || seen.Path != d.Path || seen.Role != observed.Live || !seen.Ready {
		t.Errorf("observed as %+v, made as %+v", seen, d)
	}
	shared := want
	shared.Slot = plans.Shared
	other, err := s.Create(bound(t), "3", shared)
	ok(t, err)
	if other.ID == d.ID || other.Path == d.Path {
		t.Error("two slots share a dataset")
	}
}

func (h Storage) createFresh(t *testing.T) {
	s := h.New(t)
	first := h.order(t, plans.Blue, "a1", observed.Live)
	first.Volume.OnUpgrade = plans.Fresh
	d, err := s.Create(bound(t), "1", first)
	ok(t, err)
	h.Write(t, d, "f", "old")
	second := first
	second.Attempt = "a2"
	fresh, err := s.Create(bound(t), "2", second)
	ok(t, err)
	if fresh.ID == d.ID {
		t.Fatal("a fresh volume is the old one")
	}
	h.text(t, fresh, "")
	again, err := s.Create(bound(t), "2", second)
	ok(t, err)
	if again.ID != fresh.ID {
		t.Errorf("the same attempt made %s and %s", fresh.ID, again.ID)
	}
	h.text(t, d, "old")
}

func (h Storage) foreign(t *testing.T) {
	if h.Foreign == nil {
		t.Skip("the harness cannot make foreign data")
	}
	s := h.New(t)
	want := h.order(t, plans.Blue, "a1", observed.Live)
	untouched := h.Foreign(t, want)
	_, err := s.Create(bound(t), "1", want)
	if p := wantClass(t, err, observed.Refused); p.Hint == "" {
		t.Error("a person is not told what to do about foreign data")
	}
	all, err := s.Observe(bound(t))
	ok(t, err)
	for _, d := range all {
		if d.Ready {
			t.Errorf("foreign data are observed as ours: %+v", d)
		}
	}
	ok(t, untouched())
}

func (h Storage) filter(t *testing.T) {
	s := h.New(t)
	for _, tenant := range []string{"a", "b"} {
		_, err := s.Create(bound(t), "1", drivers.VolumeOrder{
			Tenant: tenant, Name: "data", Slot: plans.Shared, Volume: h.Volume(t, tenant, "data"), Role: observed.Live, Attempt: "a1",
		})
		ok(t, err)
	}
	for _, c := range []struct{ ask, want []string }{
		{nil, []string{"a", "b"}}, {[]string{"b"}, []string{"b"}}, {[]string{"z"}, nil},
	} {
		all, err := s.Observe(bound(t), c.ask...)
		ok(t, err)
		var got []string
		for _, d := range all {
			got = append(got, d.Tenant)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("of %q: datasets of %q, want %q", c.ask, got, c.want)
		}
	}
}

func (h Storage) snapshot(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	if snap.ID == d.ID || snap.Role != observed.Origin || snap.Attempt != "a2" || snap.Volume != "data" || !snap.Ready {
		t.Errorf("took %+v", snap)
	}
	h.Write(t, d, "f", "new")
	clone, err := s.Clone(bound(t), "2", snap.ID, h.order(t, plans.Green, "a2", observed.Live), nil)
	ok(t, err)
	h.text(t, clone, "old")
	h.text(t, d, "new")
	_, err = s.Snapshot(bound(t), "3", "a3", []string{d.ID, d.ID + "-nobody"}, nil)
	wantClass(t, err, observed.Conflict)
}

func (h Storage) snapshotOnce(t *testing.T) {
	s := h.New(t)
	one := h.live(t, s)
	want := h.order(t, plans.Blue, "a1", observed.Live)
	want.Name, want.Volume = "logs", h.Volume(t, "suite", "logs")
	two, err := s.Create(bound(t), "1", want)
	ok(t, err)
	var told int64 // the newest figure, for a person to watch
	first, err := s.Snapshot(bound(t), "2", "a2", []string{one.ID, two.ID}, func(p drivers.Progress) { told = max(told, p.Done) })
	ok(t, err)
	if !s.Traits().CheapClone && told == 0 {
		t.Error("it copies for a snapshot and tells nobody how far it is")
	}
	h.Write(t, one, "f", "new")
	again, err := s.Snapshot(bound(t), "2", "a2", []string{one.ID, two.ID}, nil)
	ok(t, err)
	if len(first) != 2 || len(again) != 2 || first[0].ID != again[0].ID || first[1].ID != again[1].ID {
		t.Fatalf("the same attempt took %+v and then %+v", first, again)
	}
	if first[0].Volume != "data" || first[1].Volume != "logs" {
		t.Errorf("snapshots of %s and %s, want data and logs", first[0].Volume, first[1].Volume)
	}
	clone, err := s.Clone(bound(t), "3", again[0].ID, h.order(t, plans.Green, "a2", observed.Live), nil)
	ok(t, err)
	h.text(t, clone, "old")
	if other := h.snap(t, s, "a3", one); other.ID == first[0].ID {
		t.Error("another attempt has the same snapshot")
	}
}

func (h Storage) clone(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	clone, err := s.Clone(bound(t), "2", snap.ID, h.order(t, plans.Green, "a2", observed.Rehearsal), nil)
	ok(t, err)
	if clone.ID == d.ID || clone.Path == d.Path || clone.Path == "" || clone.Origin != snap.ID || clone.Slot != plans.Green ||
		clone.Role != observed.Rehearsal || clone.Attempt != "a2" || clone.Generation != "g1:a2" || !clone.Ready {
		t.Errorf("made %+v", clone)
	}
	h.Write(t, clone, "f", "new")
	h.text(t, clone, "new")
	h.text(t, d, "old")
	if seen := h.see(t, s, clone.ID); seen == nil || seen.Origin != snap.ID {
		t.Errorf("observed as %+v", seen)
	}
	if seen := h.see(t, s, snap.ID); seen == nil || !slices.Contains(seen.Clones, clone.ID) {
		t.Errorf("the snapshot does not know its clone: %+v", seen)
	}
	_, err = s.Clone(bound(t), "3", snap.ID+"-nobody", h.order(t, plans.Green, "a3", observed.Live), nil)
	wantClass(t, err, observed.Conflict)
}

func (h Storage) cloneTwice(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	want := h.order(t, plans.Green, "a2", observed.Live)
	clone, err := s.Clone(bound(t), "2", snap.ID, want, nil)
	ok(t, err)
	h.Write(t, clone, "f", "new")
	again, err := s.Clone(bound(t), "2", snap.ID, want, nil)
	ok(t, err)
	if again.ID != clone.ID || again.Path != clone.Path {
		t.Errorf("the same clone again: %s, was %s", again.ID, clone.ID)
	}
	h.text(t, again, "new") // and what was written to it since is still there
}

func (h Storage) cloneHalf(t *testing.T) {
	if h.BreakClone == nil {
		t.Skip("the harness cannot break a clone")
	}
	s := h.New(t)
	d := h.live(t, s)
	snap := h.snap(t, s, "a2", d)
	want := h.order(t, plans.Green, "a2", observed.Live)
	s = h.BreakClone(t, s, snap.ID, want)
	all, err := s.Observe(bound(t), "suite")
	ok(t, err)
	for _, half := range all {
		if half.Origin == snap.ID && half.Ready {
			t.Errorf("a half made clone is shown as whole: %+v", half)
		}
	}
	clone, err := s.Clone(bound(t), "2", snap.ID, want, nil)
	ok(t, err)
	if !clone.Ready {
		t.Errorf("made again and not whole: %+v", clone)
	}
	h.text(t, clone, "old")
	n := 0
	all, err = s.Observe(bound(t), "suite")
	ok(t, err)
	for _, c := range all {
		if c.Origin == snap.ID {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d clones are there, want the one: %+v", n, all)
	}
}
