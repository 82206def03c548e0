package drivertest

import (
	"reflect"
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Storage) tune(t *testing.T) {
	s := h.New(t)
	d := h.live(t, s)
	plain := h.Volume(t, "suite", "data")
	more, other := plain, plain
	more.Compression, more.Reservation = "lz4", "2M"
	other.Compression = "off"
	wantClass(t, s.Tune(bound(t), "1", d.ID+"-nobody", more), observed.Conflict)
	if !s.Traits().Tuned {
		before := h.see(t, s, d.ID)
		wantClass(t, s.Tune(bound(t), "2", d.ID, more), observed.Refused)
		ok(t, s.Tune(bound(t), "3", d.ID, plain))
		if after := h.see(t, s, d.ID); !reflect.DeepEqual(before, after) {
			t.Errorf("refused, and observed as %+v, before as %+v", after, before)
		}
		h.text(t, d, "old")
		return
	}
	for _, v := range []plans.Volume{more, more, other, plain, plain, more} {
		ok(t, s.Tune(bound(t), "2", d.ID, v))
		if seen := h.see(t, s, d.ID); seen == nil || seen.Tuning != v.Tuning() || seen.Path != d.Path || !seen.Ready {
			t.Fatalf("given %q it is observed as %+v", v.Tuning(), seen)
		}
		h.text(t, d, "old")
	}
	snap := h.snap(t, s, "a2", d)
	want := h.order(t, plans.Green, "a2", observed.Live)
	want.Volume = other
	clone, err := s.Clone(bound(t), "3", snap.ID, want, nil)
	ok(t, err)
	if seen := h.see(t, s, clone.ID); seen == nil || seen.Tuning != other.Tuning() {
		t.Errorf("a clone for %q is observed as %+v", other.Tuning(), seen)
	}
	if seen := h.see(t, s, d.ID); seen == nil || seen.Tuning != more.Tuning() {
		t.Errorf("after a clone of it what was given %q is observed as %+v", more.Tuning(), seen)
	}
	wantClass(t, s.Tune(bound(t), "4", snap.ID, other), observed.Conflict)
}
