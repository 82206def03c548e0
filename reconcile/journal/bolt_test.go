package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

var rewrite = flag.Bool("rewrite", false, "write the golden journal of the present format")

func open(t *testing.T, o Options) *Bolt {
	t.Helper()
	s, err := Open(o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	for _, text := range []string{"one", "two", "three"} {
		must(t, s.Commit(Tx{Events: []reconcile.Event{event(t0, "a", text)}}))
	}
	must(t, s.Close())
	path := filepath.Join(dir, "events", "2026-11-20.jsonl")
	whole, err := os.ReadFile(path)
	must(t, err)
	// Whatever the power failure leaves of the file, all three are there again.
	for cut := range len(whole) {
		must(t, os.WriteFile(path, whole[:cut], 0o600))
		s := open(t, Options{Dir: dir})
		got, err := s.Events(Query{})
		must(t, err)
		if len(got) != 3 || got[0].Text != "one" || got[2].Text != "three" {
			t.Fatalf("cut at %d: %v", cut, got)
		}
		must(t, s.Close())
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Retain: 48 * time.Hour})
	for d := range 6 {
		must(t, s.Commit(Tx{Events: []reconcile.Event{event(t0.Add(time.Duration(d)*24*time.Hour), "a", "x")}}))
	}
	// A clock that goes back does not bring an old day back.
	must(t, s.Commit(Tx{Events: []reconcile.Event{event(t0, "a", "late")}}))
	days, err := s.segs.days()
	must(t, err)
	if got := strings.Join(days, " "); got != "2026-11-23 2026-11-24 2026-11-25" {
		t.Errorf("days kept: %s", got)
	}
	got, err := s.Events(Query{})
	must(t, err)
	if len(got) != 4 || got[0].Seq != 4 || got[3].Text != "late" {
		t.Errorf("events kept: %v", got)
	}
}

func TestHeld(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Socket: dir + "/control.sock"})
	_, err := Open(Options{Dir: dir})
	var held *HeldError
	var problem *observed.Problem
	if !errors.As(err, &held) || !errors.As(err, &problem) {
		t.Fatalf("second opener: %v", err)
	}
	if held.PID != os.Getpid() || !strings.Contains(problem.Hint, dir+"/control.sock") || !strings.Contains(problem.Hint, "status") {
		t.Errorf("it says %v; %s", problem, problem.Hint)
	}
	must(t, s.Close())
	open(t, Options{Dir: dir})
}

func TestHeldByOtherState(t *testing.T) {
	run := t.TempDir()
	open(t, Options{Dir: t.TempDir(), RunDir: run, Fleet: "f", Node: "n"})
	open(t, Options{Dir: t.TempDir(), RunDir: run, Fleet: "f", Node: "other"})
	_, err := Open(Options{Dir: t.TempDir(), RunDir: run, Fleet: "f", Node: "n"})
	var held *HeldError
	if !errors.As(err, &held) || held.State == "" {
		t.Errorf("two states drive one node: %v", err)
	}
}

func TestControllerID(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	id := s.Controller()
	must(t, s.Close())
	if again := open(t, Options{Dir: dir}).Controller(); again != id || len(id) != 16 {
		t.Errorf("controller %q, then %q", id, again)
	}
	if other := open(t, Options{Dir: t.TempDir()}).Controller(); other == id {
		t.Error("two states have one id")
	}
}

func TestStateIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, Options{Dir: dir})
	must(t, s.Commit(Tx{Events: []reconcile.Event{event(t0, "a", "x")}}))
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %s", path, info.Mode())
		}
		return err
	}))
}

func TestNewerFormat(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, Options{Dir: dir}).Close())
	setFormat(t, dir, Format+1)
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer journal: %v", err)
	}
}

func setFormat(t *testing.T, dir string, n int) {
	db, err := bolt.Open(filepath.Join(dir, "journal.db"), 0o600, nil)
	must(t, err)
	defer db.Close()
	raw, err := json.Marshal(n)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(Meta)).Put([]byte("format"), raw) }))
}

// TestOldFormats opens a stored journal of every format this program reads.
func TestOldFormats(t *testing.T) {
	if *rewrite {
		writeGolden(t)
	}
	for _, name := range []string{"format0.db.gz", "format1.db.gz", "format2.db.gz"} {
		dir := t.TempDir()
		unpack(t, filepath.Join("testdata", name), filepath.Join(dir, "journal.db"))
		s := open(t, Options{Dir: dir})
		if got := dump(t, s, Tenants); got["acme"] != `{"clock":"2026-11-20T23:00:00Z"}` {
			t.Errorf("%s: tenants %v", name, got)
		}
		ev, err := s.Events(Query{})
		if err != nil || len(ev) != 1 || ev[0].Text != "kept" || ev[0].Seq != 1 {
			t.Errorf("%s: events %v, %v", name, ev, err)
		}
		if v, err := s.Get(Meta, "format"); err != nil || string(v) != "2" {
			t.Errorf("%s: format is now %s, %v", name, v, err)
		}
	}
}

// The ledger of ports was one value once; each port keeps its owner.
func TestPortsByPort(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	var tx Tx
	must(t, tx.Put(Meta, "ports", json.RawMessage(`{"fleet":"f","from":1,"to":2,"leases":{`+
		`"20001":{"tenant":"acme","owner":"acme/blue/app/http"},"20002":{"tenant":"globex","owner":"globex/blue/app/http"}}}`)))
	must(t, s.Commit(tx))
	must(t, s.Close())
	setFormat(t, dir, 1)
	got := dump(t, open(t, Options{Dir: dir}), Meta)
	if got["port/20001"] != `{"tenant":"acme","owner":"acme/blue/app/http"}` || got["port/20002"] == "" || got["ports"] != "" {
		t.Errorf("meta is %v", got)
	}
}

// writeGolden writes the journal of the present format. Those of earlier ones
// are never written again.
func writeGolden(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	var tx Tx
	must(t, tx.Put(Tenants, "acme", map[string]time.Time{"clock": t0}))
	tx.Events = []reconcile.Event{event(t0, "acme", "kept")}
	must(t, s.Commit(tx))
	must(t, s.Close())
	pack(t, filepath.Join(dir, "journal.db"), "testdata/format2.db.gz")
}

func pack(t *testing.T, from, to string) {
	data, err := os.ReadFile(from)
	must(t, err)
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err = z.Write(data)
	must(t, errors.Join(err, z.Close(), os.WriteFile(to, buf.Bytes(), 0o644)))
}

func unpack(t *testing.T, from, to string) {
	data, err := os.ReadFile(from)
	must(t, err)
	z, err := gzip.NewReader(bytes.NewReader(data))
	must(t, err)
	plain, err := io.ReadAll(z)
	must(t, errors.Join(err, os.WriteFile(to, plain, 0o600)))
}

func BenchmarkCommit(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	rec := bytes.Repeat([]byte("x"), 2000)
	for i := range b.N {
		tx := Tx{Events: []reconcile.Event{event(t0, "a", "x")}}
		for j := range 5 {
			if err := tx.Put(Tenants, string(rune('a'+j)), rec); err != nil {
				b.Fatal(err)
			}
		}
		tx.Delete(Inflight, string(rune('a'+i%26)))
		if err := s.Commit(tx); err != nil {
			b.Fatal(err)
		}
	}
}

// TestGiveBack holds that the pages of the file leave the process's memory, and
// that nothing leaves the journal.
func TestGiveBack(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var tx Tx
	for i := range 4000 {
		tx.Puts = append(tx.Puts, Put{Tenants, fmt.Sprintf("t%04d", i), bytes.Repeat([]byte{byte(i)}, 4000)})
	}
	if err := s.Commit(tx); err != nil {
		t.Fatal(err)
	}
	read := func() {
		n := 0
		if err := s.Each(Tenants, func(_ string, v []byte) error {
			if !bytes.Equal(v, tx.Puts[n].Value) {
				return fmt.Errorf("tenant %d has another value", n)
			}
			n++
			return nil
		}); err != nil || n != len(tx.Puts) {
			t.Fatal(n, err)
		}
	}
	read()
	before := mapped(t)
	if err := s.GiveBack(); err != nil {
		t.Fatal(err)
	}
	if after := mapped(t); before < 16_000 || after > before/4 {
		t.Errorf("of the journal %d kB were in memory, and %d kB when it was given back", before, after)
	}
	read()
}

// mapped returns how much of the journal is in this process's memory, in kB
// (proc(5), smaps).
func mapped(t *testing.T) (kb int) {
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " /") {
			ours = strings.HasSuffix(strings.TrimSpace(line), "journal.db")
		}
		if rss, ok := strings.CutPrefix(line, "Rss:"); ok && ours {
			var n int
			if _, err := fmt.Sscan(rss, &n); err != nil {
				t.Fatal(err)
			}
			kb += n
		}
	}
	return kb
}
