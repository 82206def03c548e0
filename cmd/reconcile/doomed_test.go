package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// TestDestroyIsEnded has one file in retired data that cannot be removed for days,
// over a restart: that is told once, is seen all the time, and ends by itself.
func TestDestroyIsEnded(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to make a file immutable")
	}
	root := t.TempDir()
	thaw := func() {}
	t.Cleanup(func() { thaw() })
	synctest.Test(t, func(t *testing.T) {
		owner := drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}
		host := mem.New(mem.Config{Now: time.Now, Registry: func(string) mem.Image { return mem.Image{} }})
		store := journal.NewMemory()
		var a *agent.Agent
		var volumes *dir.Driver
		start := func(version string) (stop func()) {
			t.Helper()
			var err error
			if volumes, err = dir.New(dir.Config{Root: root, Owner: owner}); err != nil {
				t.Fatal(err)
			}
			a, err = agent.New(agent.Config{
				Owner: owner, Runtimes: map[string]drivers.Runtime{"mem": host.Runtime()}, Storages: map[string]drivers.Storage{"dir": volumes},
				Router: host.Router(), Prober: host.Prober(), Host: host, Store: store, Random: func() float64 { return 0 },
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			a.SetPlan(books(version, ""))
			ended := make(chan struct{})
			go func() { a.Run(ctx); close(ended) }()
			return func() { cancel(); <-ended; store = store.Reopen() }
		}
		// shown is the line of the old data in `reconcile data`.
		shown := func(id string) *reconcile.DataNode {
			t.Helper()
			l, err := a.Data(t.Context(), "books")
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range l.Data {
				if n.ID == id {
					return &n
				}
			}
			return nil
		}
		stop := start("1")
		time.Sleep(3 * time.Minute)
		e, err := a.Explain("books")
		if err != nil {
			t.Fatal(err)
		}
		old := e.Record.Data["entries"].Dataset
		path := pathOf(t, volumes, old)
		for _, name := range []string{"big", "stays"} {
			if err := os.WriteFile(filepath.Join(path, name), make([]byte, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a.SetPlan(books("2", ""))
		time.Sleep(3 * time.Minute)
		thaw = immutable(t, filepath.Join(path, "stays"))
		time.Sleep(36 * time.Hour)
		for _, restarted := range []bool{false, true} {
			n := shown(old)
			if n == nil || n.Use != "being destroyed" || n.Stuck == nil || !strings.Contains(n.Stuck.Problem.Text, "not permitted") {
				t.Fatalf("restarted %v: half destroyed and shown as %+v", restarted, n)
			}
			if !restarted {
				stop()
				stop = start("2")
				time.Sleep(12 * time.Hour)
			}
		}
		events, err := a.Events(journal.Query{})
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, e := range events {
			if e.Kind == reconcile.TenantStuck {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times that it is stuck", told)
		}
		thaw()
		time.Sleep(time.Hour)
		if n := shown(old); n != nil {
			t.Errorf("nothing holds it any more, and it is shown as %+v", n)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("something is left: %v", err)
		}
		e, err = a.Explain("books")
		if err != nil || len(e.Record.Stuck) > 0 {
			t.Errorf("remembered: %+v, %v", e.Record.Stuck, err)
		}
		stop()
	})
}

// immutable makes a file one that even root cannot remove, until thaw is called.
func immutable(t *testing.T, path string) (thaw func()) {
	t.Helper()
	const flag = 0x10 // FS_IMMUTABLE_FL
	set := func(n int) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		was, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, was&^flag|n)
	}
	if err := set(flag); err != nil {
		t.Skipf("the filesystem has no immutable files: %v", err)
	}
	return func() { _ = set(0) }
}
