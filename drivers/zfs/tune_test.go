package zfs

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// TestTune changes settings of data that serve: what a Tuning named and the next
// one does not is as if it had never been, what a person set and none named stays.
func TestTune(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	tune := func(id string, v plans.Volume) error { return d.Tune(t.Context(), "t", id, v) }
	has := func(id, properties, want, mark string) {
		t.Helper()
		got := lines(zfs(t, "get", "-H", "-p", "-o", "value", properties, id))
		if strings.Join(got, " ") != want {
			t.Errorf("%s of %s are %s, want %s", properties, id, got, want)
		}
		if seen := find(t, d, id); seen == nil || seen.Tuning != mark {
			t.Errorf("%s is shown as %+v, want it to say it was given %q", id, seen, mark)
		}
	}
	const all = "refquota,reservation,compression,recordsize"
	first := plans.Volume{Quota: "20M", Compression: "zstd"}
	live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", first)))
	zfs(t, "set", "recordsize=16K", live.ID) // by a person
	write(t, live.Path, "f", "old")
	noise := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	write(t, live.Path, "big", string(noise))
	run(t, "zpool", "sync")

	more := plans.Volume{Quota: "40M", Reservation: "1M", Compression: "zstd"}
	for range 2 {
		if err := tune(live.ID, more); err != nil {
			t.Fatal(err)
		}
		has(live.ID, all, "41943040 1048576 zstd 16384", "compression=zstd,quota=40M,reservation=1M")
	}
	// Refused: the old quota stays, and nothing says that it has the new one. With
	// the old plan again all is as it was, also what had gone before the refusal.
	small := plans.Volume{Quota: "1M", Reservation: "1M"}
	class(t, tune(live.ID, small), observed.Refused, "larger than what is there")
	class(t, tune(live.ID, small), observed.Refused, "larger than what is there")
	if got := zfs(t, "get", "-H", "-p", "-o", "value", "refquota", live.ID); got != "41943040" {
		t.Errorf("the refused quota is %s", got)
	}
	if seen := find(t, d, live.ID); seen == nil || seen.Tuning == small.Tuning() || seen.Tuning == more.Tuning() {
		t.Errorf("refused in the middle, and shown as %+v", seen)
	}
	if err := tune(live.ID, more); err != nil {
		t.Fatal(err)
	}
	has(live.ID, all, "41943040 1048576 zstd 16384", more.Tuning())
	class(t, tune(live.ID, plans.Volume{Reservation: "100T"}), observed.Environment, "free space")

	// Its clones have what their own plan says, and say so, and what the person set.
	snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil))[0]
	clone := must[observed.Dataset](t)(d.Clone(t.Context(), "3", snap.ID, b.order(plans.Green, "a2", plans.Volume{Quota: "30M"}), nil))
	compression := zfs(t, "get", "-H", "-o", "value", "compression", b.root)
	has(clone.ID, all, "31457280 0 "+compression+" 16384", "quota=30M")
	class(t, tune(snap.ID, more), observed.Conflict, "snapshot")

	if err := tune(live.ID, plans.Volume{}); err != nil {
		t.Fatal(err)
	}
	has(live.ID, all, "0 0 "+compression+" 16384", "")
	if got := zfs(t, "get", "-H", "-o", "source", "compression", live.ID); !strings.HasPrefix(got, "inherited") && got != "default" {
		t.Errorf("compression is still set: %s", got)
	}
	if got := read(t, live.Path, "f"); got != "old" {
		t.Errorf("after all that the data are %q", got)
	}
}

// TestTuneOthers: a dataset that was taken over keeps what its owner set but for
// what the plan names, and a zvol has no files to limit.
func TestTuneOthers(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	theirs := b.root + "/old/data"
	zfs(t, "create", "-o", "canmount=off", b.root+"/old")
	zfs(t, "create", "-o", "mountpoint="+t.TempDir(), "-o", "compression=gzip", "-o", "refquota=30M", theirs)
	v := plans.Volume{Source: theirs, Import: true, Quota: "20M"}
	o := b.order(plans.Blue, "a1", v)
	o.Tenant = "import"
	must[observed.Dataset](t)(d.Create(t.Context(), "1", o))
	block := b.order(plans.Blue, "a1", plans.Volume{Size: "64M", Filesystem: "ext4", RecordSize: "8K"})
	block.Name = "block"
	zvol := must[observed.Dataset](t)(d.Create(t.Context(), "2", block)).ID
	for _, c := range []struct {
		id, properties string
		v              plans.Volume
		want           string
	}{
		{theirs, "compression,refquota", v, "gzip 20971520"},
		{theirs, "compression,refquota", plans.Volume{}, "gzip 0"},
		{zvol, "compression,reservation,volblocksize", plans.Volume{Size: "64M", RecordSize: "8K", Compression: "gzip", Reservation: "1M"}, "gzip 1048576 8192"},
		// A plan that wants files from the next version on.
		{zvol, "compression,reservation,volblocksize", plans.Volume{Quota: "1G", RecordSize: "16K", Reservation: "1M"}, "lz4 1048576 8192"},
	} {
		if err := d.Tune(t.Context(), "3", c.id, c.v); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(lines(zfs(t, "get", "-H", "-p", "-o", "value", c.properties, c.id)), " ")
		if got = strings.Replace(got, "on ", "lz4 ", 1); got != c.want {
			t.Errorf("%s of %s are %s, want %s", c.properties, c.id, got, c.want)
		}
		if seen := find(t, d, c.id); seen == nil || seen.Tuning != c.v.Tuning() {
			t.Errorf("%s is shown as %+v, want it to say it was given %q", c.id, seen, c.v.Tuning())
		}
	}
}

// A change is marked before it begins, so that one that was refused or cut off is
// never taken for what was there before, or for what was wanted.
func TestTuneCalls(t *testing.T) {
	s := scripted(t, one(t, newSide), answer{Begins: "set reconcile:tuning"}, answer{Begins: "set compression=zstd refquota=1M", Err: "cannot set property for 'x': size is less than current used or reserved space"})
	d := looker(t, "n")
	class(t, d.Tune(t.Context(), "1", newSide, plans.Volume{Quota: "1M", Compression: "zstd"}), observed.Refused, "larger than what is there")
	want := []string{"set reconcile:tuning=~compression,quota " + newSide, "set compression=zstd refquota=1M " + newSide}
	if calls := s.calls(); len(calls) != 3 || !slices.Equal(calls[1:], want) {
		t.Errorf("ran %q, want a look and %q", calls, want)
	}
	for mark, want := range map[string]string{"none": "", "": "", "~compression,quota": "compression quota", "quota=1M,recordSize=16K": "quota recordSize", "else=1": ""} {
		if got := strings.Join(fieldsOf(mark), " "); got != want {
			t.Errorf("by the mark %q these fields were given: %q, want %q", mark, got, want)
		}
	}
}
