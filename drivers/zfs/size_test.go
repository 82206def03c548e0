package zfs

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// room is the size of the filesystem that is mounted there, as it tells it.
func room(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks) * st.Bsize
}

// TestGrow: a larger size is the clone's, device and filesystem, and what the data
// cannot become is told before anything is made.
func TestGrow(t *testing.T) {
	for kind, c := range map[string]struct{ size, same, more string }{
		"ext4": {"64M", "65530K", "96M"}, // a device is of whole blocks
		"xfs":  {"320M", "320M", "1G"},
	} {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t)
			d := b.open(t)
			v := plans.Volume{Size: c.size, Filesystem: kind}
			live := must[observed.Dataset](t)(d.Create(t.Context(), "1", b.order(plans.Blue, "a1", v)))
			write(t, live.Path, "f", "old")
			snap := must[[]observed.Dataset](t)(d.Snapshot(t.Context(), "2", "a2", []string{live.ID}, nil))[0]
			other := map[string]string{"ext4": "xfs", "xfs": "ext4"}[kind]
			for _, no := range []struct {
				v    plans.Volume
				says string
			}{
				{plans.Volume{Size: "16M", Filesystem: kind}, "does not shrink"},
				{plans.Volume{Size: c.more, Filesystem: other}, "it carries " + kind},
				{plans.Volume{Quota: "1G"}, "files in a dataset"},
			} {
				_, err := d.Clone(t.Context(), "3", snap.ID, b.order(plans.Green, "a2", no.v), nil)
				class(t, err, observed.Environment, no.says)
				for _, of := range []string{live.ID, snap.ID} {
					class(t, d.CheckClone(t.Context(), of, no.v), observed.Environment, no.says)
				}
			}
			for _, yes := range []string{c.size, c.same, c.more} {
				if err := d.CheckClone(t.Context(), live.ID, plans.Volume{Size: yes}); err != nil {
					t.Error(err)
				}
			}
			same := must[observed.Dataset](t)(d.Clone(t.Context(), "4", snap.ID, b.order(plans.Green, "a3", plans.Volume{Size: c.same, Filesystem: kind}), nil))
			if is, was := room(t, same.Path), room(t, live.Path); is != was {
				t.Errorf("of the same size, the clone has room for %d, and its origin for %d", is, was)
			}
			v.Size = c.more
			for range 2 {
				clone := must[observed.Dataset](t)(d.Clone(t.Context(), "5", snap.ID, b.order(plans.Green, "a2", v), nil))
				want := int64(must[uint64](t)(sizeOf(c.more)))
				if got := zfs(t, "get", "-H", "-p", "-o", "value", "volsize", clone.ID); got != fmt.Sprint(want) {
					t.Errorf("its device has %s bytes, want %d", got, want)
				}
				if got := room(t, clone.Path); got < want*8/10 {
					t.Errorf("its filesystem has %d bytes, want about %d", got, want)
				}
				if got := read(t, clone.Path, "f"); got != "old" {
					t.Errorf("the clone holds %q", got)
				}
				run(t, "umount", filepath.Dir(clone.Path))
			}
		})
	}
}

// TestNoDevice: files do not become a block device.
func TestNoDevice(t *testing.T) {
	b := newBench(t)
	d := b.open(t)
	_, snap, _ := upgrade(t, b, d, plans.Volume{})
	v := plans.Volume{Size: "64M", Filesystem: "ext4"}
	_, err := d.Clone(t.Context(), "4", snap.ID, b.order(plans.Green, "a3", v), nil)
	class(t, err, observed.Environment, "wants a block device")
	class(t, d.CheckClone(t.Context(), snap.ID, v), observed.Environment, "wants a block device")
	if err := d.CheckClone(t.Context(), b.root+"/acme/gone", v); err != nil {
		t.Errorf("what is not there is told by others: %v", err)
	}
}

func TestKindOf(t *testing.T) {
	begin := func(change func([]byte)) []byte {
		b := make([]byte, superblock)
		change(b)
		return b
	}
	ext := func(b []byte) {
		binary.LittleEndian.PutUint16(b[1080:], 0xEF53)
		binary.LittleEndian.PutUint32(b[1028:], 7)
		binary.LittleEndian.PutUint32(b[1024+0x150:], 1)
	}
	for name, c := range map[string]struct {
		begin  []byte
		kind   string
		blocks uint64
	}{
		"xfs":          {begin(func(b []byte) { copy(b, "XFSB") }), "xfs", 0},
		"ext4":         {begin(ext), "ext4", 7},
		"ext4, 64 bit": {begin(func(b []byte) { ext(b); b[1024+0x60] = 0x80 }), "ext4", 1<<32 | 7},
		"nothing":      {begin(func([]byte) {}), "", 0},
		"short":        {[]byte("XFSB"), "", 0},
	} {
		if kind, blocks := kindOf(c.begin); kind != c.kind || blocks != c.blocks {
			t.Errorf("%s: %q of %d blocks", name, kind, blocks)
		}
	}
}
