package routes

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// fastDir is a directory of the test's own, in memory where the system has that.
func fastDir(t *testing.T) string {
	t.Helper()
	if dir, err := os.MkdirTemp("/dev/shm", "routes-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

func open(t *testing.T, dir string) *Table {
	t.Helper()
	table, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

// reopen closes the table and opens it as a new process would.
func reopen(t *testing.T, table *Table) *Table {
	t.Helper()
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, table.dir)
}

func entry(tenant string, slot plans.Slot, places ...string) plans.Entry {
	e := plans.Entry{Tenant: tenant, Slot: slot}
	if len(places) == 0 {
		places = []string{"/"}
	}
	for _, p := range places {
		e.Routes = append(e.Routes, plans.EntryRoute{Host: tenant + ".test", Path: p, Address: map[plans.Slot]string{
			plans.Blue: "127.0.0.1:1001", plans.Green: "127.0.0.1:1002",
		}})
	}
	return e
}

// set sets an entry at its tenant's present revision.
func set(t *testing.T, table *Table, e plans.Entry) uint64 {
	t.Helper()
	seen, _ := table.Observe(e.Tenant)
	rev, _, err := table.Set(e, seen[e.Tenant].Revision)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func take(t *testing.T, table *Table, r Request) *Flight {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	f, err := table.Take(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var acme = Request{Host: "acme.test", Path: "/"}

func TestSetSaysWhatIsWrong(t *testing.T) {
	table := open(t, fastDir(t))
	set(t, table, entry("acme", plans.Blue))
	for name, spoil := range map[string]func(*plans.Entry){
		"no tenant":          func(e *plans.Entry) { e.Tenant = "" },
		"unknown slot":       func(e *plans.Entry) { e.Slot = "red" },
		"no host":            func(e *plans.Entry) { e.Routes[0].Host = "" },
		"upper case":         func(e *plans.Entry) { e.Routes[0].Host = "B.test" },
		"port in host":       func(e *plans.Entry) { e.Routes[0].Host = "b.test:80" },
		"no path":            func(e *plans.Entry) { e.Routes[0].Path = "" },
		"path with dots":     func(e *plans.Entry) { e.Routes[0].Path = "/a/../b" },
		"twice":              func(e *plans.Entry) { e.Routes = append(e.Routes, e.Routes[0]) },
		"address without":    func(e *plans.Entry) { e.Routes[0].Address[plans.Blue] = "127.0.0.1" },
		"address port":       func(e *plans.Entry) { e.Routes[0].Address[plans.Blue] = "127.0.0.1:http" },
		"placeholder":        func(e *plans.Entry) { e.Routes[0].Address[plans.Blue] = "{env.SECRET}:80" },
		"socket":             func(e *plans.Entry) { e.Routes[0].Address[plans.Blue] = "unix//run/x:1" },
		"hold without id":    func(e *plans.Entry) { e.Hold = &plans.Hold{Limit: plans.Second} },
		"hold without limit": func(e *plans.Entry) { e.Hold = &plans.Hold{ID: "h"} },
	} {
		e := entry("b", plans.Blue)
		spoil(&e)
		var invalid *Invalid
		if _, _, err := table.Set(e, 0); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var taken *Taken
	b := entry("b", plans.Blue)
	b.Routes[0].Host = "acme.test"
	if _, _, err := table.Set(b, 0); !errors.As(err, &taken) || taken.By != "acme" {
		t.Errorf("another tenant's host: %v", err)
	}
	if seen, _ := table.Observe(); len(seen) != 1 {
		t.Errorf("something was set: %+v", seen)
	}
}

func TestHostAndPath(t *testing.T) {
	for in, want := range map[string]string{
		"Acme.Test": "acme.test", "acme.test:8080": "acme.test", "acme.test.": "acme.test", "[::1]:80": "::1", "[::1]": "::1", "": "",
	} {
		if got := Host(in); got != want {
			t.Errorf("Host(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"": "/", "*": "/", "/": "/", "/a": "/a", "/a/": "/a/", "//a": "/a", "/a/../b": "/b", "/a/./b/": "/a/b/", "/..": "/", "/.well-known/x": "/.well-known/x",
	} {
		if got := Path(in); got != want {
			t.Errorf("Path(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLongestPathWins(t *testing.T) {
	table := open(t, fastDir(t))
	set(t, table, entry("acme", plans.Blue, "/", "/api"))
	other := entry("other", plans.Blue, "/api/v2/", "/static")
	for i := range other.Routes {
		other.Routes[i].Host = "acme.test"
	}
	set(t, table, other)
	for path, want := range map[string]string{
		"/": "acme", "/api": "acme", "/api/v1": "acme", "/api/v2": "acme", "/api/v2/": "other", "/api/v2/x": "other",
		"/static": "other", "/statics": "acme", "/static/x": "other",
	} {
		f := take(t, table, Request{Host: "acme.test", Path: path})
		if f.tenant.name != want {
			t.Errorf("%s leads to %s, want %s", path, f.tenant.name, want)
		}
		f.Land()
	}
	// The place of a tenant that goes falls to the next longest.
	seen, _ := table.Observe("other")
	if _, err := table.Delete("other", seen["other"].Revision); err != nil {
		t.Fatal(err)
	}
	if f := take(t, table, Request{Host: "acme.test", Path: "/static/x"}); f.tenant.name != "acme" {
		t.Errorf("leads to %s", f.tenant.name)
	}
}

func TestSharedServiceIsCountedApart(t *testing.T) {
	table := open(t, fastDir(t))
	e := entry("acme", plans.Blue)
	e.Routes[0].Address = map[plans.Slot]string{plans.Shared: "127.0.0.1:1003"}
	set(t, table, e)
	f := take(t, table, acme)
	seen, _ := table.Observe("acme")
	if f.Address != "127.0.0.1:1003" || f.Active != plans.Blue || seen["acme"].Slots[plans.Shared].InFlight != 1 || seen["acme"].Slots[plans.Blue].InFlight != 0 {
		t.Errorf("%+v, observed %+v: a slot's drain would wait for the shared service", f, seen["acme"])
	}
}
