package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// A snapshot is read beside the one who holds the journal, and holds what was
// committed before it was taken.
func TestSnapshotBesideHolder(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenSnapshot(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("snapshot of nothing: %v, want fs.ErrNotExist", err)
	}
	if held := HeldBy(dir); held != nil {
		t.Fatalf("an empty folder is held: %v", held)
	}
	b, err := Open(Options{Dir: dir, Socket: "/x.sock"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	commit := func(value, text string) {
		t.Helper()
		var tx Tx
		if err := tx.Put(Tenants, "acme", value); err != nil {
			t.Fatal(err)
		}
		tx.Events = []reconcile.Event{{Time: time.Now(), Kind: "tenant.test", Tenant: "acme", Text: text}}
		if err := b.Commit(tx); err != nil {
			t.Fatal(err)
		}
	}
	commit("first", "one")
	before := files(t, dir)
	s, err := OpenSnapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Controller() != b.Controller() || s.Fresh() {
		t.Errorf("controller %q, fresh %v; want %q, false", s.Controller(), s.Fresh(), b.Controller())
	}
	if held := HeldBy(dir); held == nil || held.PID != os.Getpid() || held.Socket != "/x.sock" {
		t.Errorf("held by %+v, want this process", held)
	}
	if err := s.Commit(Tx{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("commit: %v, want ErrReadOnly", err)
	}
	if after := files(t, dir); after != before {
		t.Errorf("the state directory changed: %s, was %s", after, before)
	}
	commit("second", "two")
	v, err := s.Get(Tenants, "acme")
	if err != nil || string(v) != `"first"` {
		t.Errorf("acme is %s, %v; want what it was when the snapshot was taken", v, err)
	}
	events, err := s.Events(Query{Tenant: "acme"})
	if err != nil || len(events) == 0 || events[0].Text != "one" {
		t.Errorf("events %v, %v; want the first", events, err)
	}
	copied := s.copied
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(copied); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is left behind: %v", err)
	}
}

// files is a folder with all that is in it.
func files(t *testing.T, dir string) string {
	t.Helper()
	out := ""
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		out += path + " " + string(content) + "\n"
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
