package journal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

var t0 = time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)

func event(at time.Time, tenant, text string) reconcile.Event {
	return reconcile.Event{Time: at, Kind: "test", Tenant: tenant, Text: text}
}

// stores are the two stores, each with a way to open what was durable again.
var stores = map[string]func(t *testing.T) (open func() Store){
	"bolt": func(t *testing.T) func() Store {
		dir := t.TempDir()
		var last Store
		return func() Store {
			if last != nil {
				if err := last.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Open(Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			last = s
			return s
		}
	},
	"memory": func(*testing.T) func() Store {
		var last *Memory
		return func() Store {
			if last == nil {
				last = NewMemory()
			} else {
				last = last.Reopen()
			}
			return last
		}
	},
}

func TestStores(t *testing.T) {
	for name, make := range stores {
		for what, run := range suite {
			t.Run(name+"/"+what, func(t *testing.T) { run(t, make) })
			// In virtual time, as the simulator of the whole agent has it.
			t.Run(name+" in a bubble/"+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { run(t, make) })
			})
		}
	}
}

// suite is what every store must do.
var suite = map[string]func(*testing.T, func(*testing.T) func() Store){
	"keeps what is committed": func(t *testing.T, make func(*testing.T) func() Store) {
		open := make(t)
		s := open()
		var tx Tx
		must(t, tx.Put(Tenants, "b", map[string]int{"n": 2}))
		must(t, tx.Put(Tenants, "a", map[string]int{"n": 1}))
		must(t, tx.Put(Specs, "g1:1", "spec"))
		must(t, tx.Put(Meta, "clock", t0))
		must(t, s.Commit(tx))
		tx = Tx{}
		tx.Delete(Specs, "g1:1")
		must(t, tx.Put(Tenants, "b", map[string]int{"n": 3}))
		must(t, s.Commit(tx))
		s = open()
		if got := dump(t, s, Tenants); !maps.Equal(got, map[string]string{"a": `{"n":1}`, "b": `{"n":3}`}) {
			t.Errorf("tenants %v", got)
		}
		if got := dump(t, s, Specs); len(got) != 0 {
			t.Errorf("a deleted spec is back: %v", got)
		}
		if v, err := s.Get(Meta, "clock"); err != nil || string(v) != `"2026-11-20T23:00:00Z"` {
			t.Errorf("clock %s, %v", v, err)
		}
		if v, err := s.Get(Meta, "none"); v != nil || err != nil {
			t.Errorf("a key that is not there: %s, %v", v, err)
		}
	},
	"the last put of a key wins": func(t *testing.T, make func(*testing.T) func() Store) {
		s := make(t)()
		var tx Tx
		must(t, tx.Put(Inflight, "x", 1))
		tx.Delete(Inflight, "x")
		must(t, tx.Put(Inflight, "y", 1))
		must(t, tx.Put(Inflight, "y", 2))
		must(t, s.Commit(tx))
		if got := dump(t, s, Inflight); !maps.Equal(got, map[string]string{"y": "2"}) {
			t.Errorf("inflight %v", got)
		}
	},
	"fresh until something was written": func(t *testing.T, make func(*testing.T) func() Store) {
		open := make(t)
		s := open()
		if !s.Fresh() {
			t.Error("a new store is not fresh")
		}
		var tx Tx
		must(t, tx.Put(Meta, "clock", t0))
		must(t, s.Commit(tx))
		if open().Fresh() {
			t.Error("a used store is fresh")
		}
	},
	"numbers events and keeps their order": func(t *testing.T, make func(*testing.T) func() Store) {
		open := make(t)
		s := open()
		const total = 300 // more than an outbox holds
		for i := range total / 3 {
			at := t0.Add(time.Duration(i) * time.Minute)
			of := event(at, "a", fmt.Sprint(3*i+2))
			of.Fields = map[string]string{"rollout": fmt.Sprint("ro-", i%10)}
			must(t, s.Commit(Tx{Events: []reconcile.Event{event(at, "a", fmt.Sprint(3*i)), event(at, "b", fmt.Sprint(3*i+1)), of}}))
			if i == 40 {
				s = open()
			}
		}
		s = open()
		all, err := s.Events(Query{})
		must(t, err)
		if len(all) != total {
			t.Fatalf("%d events, want %d", len(all), total)
		}
		for i, e := range all {
			if e.Seq != uint64(i+1) || e.Text != fmt.Sprint(i) {
				t.Fatalf("event %d is %d %q", i, e.Seq, e.Text)
			}
		}
		for name, c := range map[string]struct {
			q     Query
			first string
			n     int
		}{
			"after":           {Query{After: 290}, "290", 10},
			"last":            {Query{Last: 5}, "295", 5},
			"tenant":          {Query{Tenant: "b"}, "1", 100},
			"last of tenant":  {Query{Tenant: "b", Last: 2}, "295", 2},
			"rollout":         {Query{Rollout: "ro-4"}, "14", 10},
			"last of rollout": {Query{Rollout: "ro-4", Last: 3}, "224", 3},
			"no such rollout": {Query{Rollout: "ro-"}, "", 0},
			"since":           {Query{Since: t0.Add(99 * time.Minute)}, "297", 3},
			"after the last":  {Query{After: total}, "", 0},
			"since yesterday": {Query{Since: t0.Add(-24 * time.Hour)}, "0", total},
		} {
			got, err := s.Events(c.q)
			if err != nil || len(got) != c.n || c.n > 0 && got[0].Text != c.first {
				t.Errorf("%s: %d events from %v, %v; want %d from %s", name, len(got), got[:min(1, len(got))], err, c.n, c.first)
			}
		}
	},
	"closed is closed": func(t *testing.T, make func(*testing.T) func() Store) {
		s := make(t)()
		must(t, s.Close())
		if err := s.Commit(Tx{}); !errors.Is(err, ErrClosed) {
			t.Errorf("commit: %v", err)
		}
		if _, err := s.Get(Meta, "x"); !errors.Is(err, ErrClosed) {
			t.Errorf("get: %v", err)
		}
		if err := s.Each(Meta, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("each: %v", err)
		}
		if _, err := s.Events(Query{}); !errors.Is(err, ErrClosed) {
			t.Errorf("events: %v", err)
		}
	},
}

func TestMemoryCrash(t *testing.T) {
	for when, want := range map[When]int{Before: 1, After: 2} {
		m := NewMemory()
		m.Crash(2, when)
		put := func(key string) error {
			var tx Tx
			must(t, tx.Put(Tenants, key, 1))
			tx.Events = []reconcile.Event{event(t0, key, key)}
			return m.Commit(tx)
		}
		must(t, put("a"))
		if err := put("b"); !errors.Is(err, ErrClosed) {
			t.Fatalf("the crash was not felt: %v", err)
		}
		if err := put("c"); !errors.Is(err, ErrClosed) {
			t.Fatalf("a dead process wrote: %v", err)
		}
		next := m.Reopen()
		if got := dump(t, next, Tenants); len(got) != want {
			t.Errorf("crash %d: %v durable, want %d", when, slices.Sorted(maps.Keys(got)), want)
		}
		if ev, err := next.Events(Query{}); err != nil || len(ev) != want {
			t.Errorf("crash %d: %d events durable, %v; want %d", when, len(ev), err, want)
		}
	}
}

func dump(t *testing.T, s Store, b Bucket) map[string]string {
	t.Helper()
	got := map[string]string{}
	var keys []string
	must(t, s.Each(b, func(k string, v []byte) error {
		got[k] = string(v)
		keys = append(keys, k)
		return nil
	}))
	if !slices.IsSorted(keys) {
		t.Errorf("keys not in order: %v", keys)
	}
	return got
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
