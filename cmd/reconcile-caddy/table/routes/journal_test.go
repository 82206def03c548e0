package routes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
)

// TestTornEnd cuts both files at every byte of the last change: the table is
// as it was before that change or after it, and whole.
func TestTornEnd(t *testing.T) {
	dir := fastDir(t)
	table := open(t, dir)
	set(t, table, entry("acme", plans.Blue))
	set(t, table, entry("other", plans.Blue))
	before := table.log.size
	set(t, table, entry("acme", plans.Green))
	after := table.log.size
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, fileNames[0]))
	if err != nil {
		t.Fatal(err)
	}
	for cutA := before; cutA <= after; cutA += 7 {
		for _, cutB := range []int64{before, cutA, after} {
			for i, cut := range []int64{cutA, cutB} {
				if err := os.WriteFile(filepath.Join(dir, fileNames[i]), whole[:cut], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			table, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			seen, _ := table.Observe()
			want := plans.Blue
			if cutA == after || cutB == after {
				want = plans.Green
			}
			if seen["acme"].Entry.Slot != want || seen["other"].Entry.Slot != plans.Blue || table.Status().Damaged != "" {
				t.Errorf("cut at %d and %d of %d: acme leads to %q, want %q; %+v", cutA, cutB, after, seen["acme"].Entry.Slot, want, table.Status())
			}
			set(t, table, entry("third", plans.Blue))
			if err := table.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if seen, _ := again.Observe("third"); seen["third"].Revision == 0 {
				t.Errorf("cut at %d and %d: what was set afterwards is gone", cutA, cutB)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestBadByteInOneCopy spoils one file anywhere: nothing is lost.
func TestBadByteInOneCopy(t *testing.T) {
	dir := fastDir(t)
	table := open(t, dir)
	for n := range 5 {
		set(t, table, entry(fmt.Sprint("t", n), plans.Blue))
	}
	set(t, table, entry("t2", plans.Green))
	size := int(table.log.size)
	for at := 0; at < size; at += 31 {
		if err := table.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fileNames[at%2])
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[at%len(b)] ^= 0x01
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if table, err = Open(dir); err != nil {
			t.Fatal(err)
		}
		seen, _ := table.Observe()
		if len(seen) != 5 || seen["t2"].Entry.Slot != plans.Green || table.Status().Damaged != "" {
			t.Fatalf("a bad byte at %d of %s: %d tenants, t2 at %q, %+v", at, path, len(seen), seen["t2"].Entry.Slot, table.Status())
		}
	}
	table.Close()
}

// TestLostRevisionsAreNotGivenAgain: after the end of the log was lost, no
// revision somebody may remember is valid.
func TestLostRevisionsAreNotGivenAgain(t *testing.T) {
	dir := fastDir(t)
	table := open(t, dir)
	set(t, table, entry("acme", plans.Blue))
	middle := table.log.size
	set(t, table, entry("acme", plans.Green))
	old := set(t, table, entry("other", plans.Blue))
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range fileNames {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[middle+20] ^= 0x01
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	table = open(t, dir)
	if table.Status().Damaged == "" {
		t.Error("nobody says that something was lost")
	}
	if _, err := table.Take(t.Context(), Request{Host: "other.test", Path: "/"}); !errors.Is(err, ErrLost) {
		t.Errorf("a tenant that was lost: %v, want ErrLost, since nobody knows that it is unknown", err)
	}
	if rev := set(t, table, entry("other", plans.Blue)); rev <= old+100 {
		t.Errorf("revision %d, and %d was given out before", rev, old)
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*.corrupt-*")); len(kept) != 2 {
		t.Errorf("kept for a person to look at: %q", kept)
	}
}

// TestFailedWriteChangesNothing: not what is served, not what a restart reads.
func TestFailedWriteChangesNothing(t *testing.T) {
	for broken := range 2 {
		table := open(t, fastDir(t))
		rev := set(t, table, entry("acme", plans.Blue))
		path := filepath.Join(table.dir, fileNames[broken])
		readOnly, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := table.log.files[broken].Close(); err != nil {
			t.Fatal(err)
		}
		table.log.files[broken] = readOnly
		var unwritten *Unwritten
		if _, _, err := table.Set(entry("acme", plans.Green), rev); !errors.As(err, &unwritten) {
			t.Fatalf("error %v, want the change unwritten", err)
		}
		if f := take(t, table, acme); f.Slot != plans.Blue {
			t.Errorf("served by %s after a change that was refused", f.Slot)
		}
		if table.Status().Problem == "" {
			t.Error("status does not say so")
		}
		if k, err := load(table.dir); err != nil || k.tenants["acme"].Entry.Slot != plans.Blue {
			t.Errorf("on disk it is %+v, %v", k.tenants["acme"], err)
		}
		if now, _, err := table.Set(entry("acme", plans.Green), rev); err != nil || now <= rev {
			t.Errorf("once the disk is well again: %d, %v", now, err)
		}
		if table.Status().Problem != "" {
			t.Errorf("status still says %q", table.Status().Problem)
		}
		if table = reopen(t, table); take(t, table, acme).Slot != plans.Green {
			t.Error("the later change was lost")
		}
	}
}

// TestLongLogIsWrittenAnew: its size follows the tenants, not the switches.
func TestLongLogIsWrittenAnew(t *testing.T) {
	table := open(t, fastDir(t))
	e := entry("acme", plans.Blue)
	rev := uint64(0)
	longest := int64(0)
	for range 8000 {
		e.Slot = e.Slot.Other()
		var err error
		if rev, _, err = table.Set(e, rev); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, table.log.size)
	}
	if limit := int64(slack + 1<<16); longest > limit || table.log.size == longest {
		t.Errorf("the log grew to %d bytes and is %d now, want at most %d", longest, table.log.size, limit)
	}
	table = reopen(t, table)
	if seen, _ := table.Observe(); seen["acme"].Revision != rev || seen["acme"].Entry.Slot != e.Slot {
		t.Errorf("%+v, want %s at %d", seen["acme"], e.Slot, rev)
	}
}

func TestFirstWriteIsRememberedBeforeItIsSent(t *testing.T) {
	table := open(t, fastDir(t))
	set(t, table, entry("acme", plans.Blue))
	take(t, table, acme).Land()
	written := func() []plans.Slot {
		k, err := load(table.dir)
		if err != nil {
			t.Fatal(err)
		}
		return k.tenants["acme"].Written
	}
	if w := written(); len(w) != 0 {
		t.Errorf("only read from, and written says %q", w)
	}
	post := acme
	post.Write = true
	take(t, table, post) // not landed: it is only on its way
	if w := written(); len(w) != 1 || w[0] != plans.Blue {
		t.Errorf("a write is on its way, and written says %q", w)
	}
	set(t, table, entry("acme", plans.Green))
	table = reopen(t, table)
	seen, _ := table.Observe("acme")
	if u := seen["acme"].Slots; u[plans.Blue].Writes == 0 || u[plans.Green].Writes != 0 {
		t.Errorf("after a restart: %+v, want blue written and green not", u)
	}
	set(t, table, entry("acme", plans.Blue))
	if w := written(); len(w) != 0 {
		t.Errorf("switched to anew, and written says %q", w)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := fastDir(t)
	line, err := record{Format: format + 1}.line()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileNames[0]), line, 0o600); err != nil {
		t.Fatal(err)
	}
	if table, err := Open(dir); err == nil {
		table.Close()
		t.Error("a newer format was read")
	}
}
