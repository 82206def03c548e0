package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// books is a plan of one tenant with a quiesced volume.
func books(version, onBack string) *plans.Plan {
	service := plans.Service{Image: "registry.example.com/books@sha256:" + strings.Repeat(version, 64), Ports: map[string]int{"http": 8080},
		Mounts: map[string]plans.Mount{"/data": {Volume: "entries"}},
		Health: &plans.Health{HTTP: &plans.HTTPProbe{Path: "/"}, Interval: plans.Second, Successes: 2, Within: 30 * plans.Second}}
	return &plans.Plan{Commit: version, Fleet: "f", Tenants: []plans.Tenant{{
		Name: "books", Strategy: plans.BlueGreen, Bake: 60 * plans.Second, Drain: 5 * plans.Second, Soak: plans.Soak{For: 600 * plans.Second},
		Core:    plans.Core{Services: map[string]plans.Service{"app": service}},
		Routes:  map[string]*plans.Route{"web": {Hosts: []string{"books.example.com"}, Service: "app"}},
		Volumes: map[string]plans.Volume{"entries": {Source: "books", OnUpgrade: plans.Clone, Writes: plans.Quiesce, OnBack: onBack}},
	}}}
}

// TestWaysBackOnDirectories plays each word of onBack on real directories: a new
// version answers a write and then fails in its bake. What serves in the end, and
// with which of the files, is what the plan said; nothing that was written is gone.
func TestWaysBackOnDirectories(t *testing.T) {
	for onBack, want := range map[string]struct {
		version string // that serves in the end
		files   string // it has
		aside   string // another dataset has
	}{
		plans.Stay:    {"2", "new old", "old"},
		plans.Carry:   {"1", "new old", "old"},
		plans.Discard: {"1", "old", "new old"},
	} {
		t.Run(onBack, func(t *testing.T) {
			root := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				owner := drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}
				volumes, err := dir.New(dir.Config{Root: root, Owner: owner})
				if err != nil {
					t.Fatal(err)
				}
				host := mem.New(mem.Config{Now: time.Now, Registry: func(image string) mem.Image {
					if strings.HasSuffix(image, "2") {
						return mem.Image{SickAfter: 30 * time.Second}
					}
					return mem.Image{}
				}})
				a, err := agent.New(agent.Config{
					Owner: owner, Runtimes: map[string]drivers.Runtime{"mem": host.Runtime()}, Storages: map[string]drivers.Storage{"dir": volumes},
					Router: host.Router(), Prober: host.Prober(), Host: host, Store: journal.NewMemory(), Random: func() float64 { return 0 },
				})
				if err != nil {
					t.Fatal(err)
				}
				write := func(name string) {
					t.Helper()
					e, err := a.Explain("books")
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(pathOf(t, volumes, e.Record.Data["entries"].Dataset), name), []byte(name), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				a.SetPlan(books("1", onBack))
				if _, err := a.Pass(t.Context()); err != nil {
					t.Fatal(err)
				}
				write("old")
				a.SetPlan(books("2", onBack))
				go func() {
					time.Sleep(10 * time.Second) // in its bake
					write("new")
					host.Send("POST", "books.example.com", "/", 1).Finish()
				}()
				if _, err := a.Pass(t.Context()); err != nil {
					t.Fatal(err)
				}
				e, err := a.Explain("books")
				if err != nil {
					t.Fatal(err)
				}
				serves := books(want.version, onBack).Tenants[0].Target().Core
				if e.Record.Current.Generation != serves {
					t.Errorf("%s serves, want %s: %s", e.Record.Current.Generation, serves, e.Report.Why)
				}
				if asks := e.Report.Question != nil && strings.Contains(e.Report.Question.Text, "would leave behind up to 3 bytes written since 2000-01-01"); asks != (onBack == plans.Stay) {
					t.Errorf("asks %v: %+v", asks, e.Report.Question)
				}
				now := e.Record.Data["entries"].Dataset
				if got := filesIn(t, pathOf(t, volumes, now)); got != want.files {
					t.Errorf("it serves %q, want %q", got, want.files)
				}
				all, err := volumes.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				kept := false
				for _, d := range all {
					kept = kept || d.ID != now && filesIn(t, d.Path) == want.aside
				}
				if !kept {
					t.Errorf("no other dataset has %q: %+v", want.aside, all)
				}
				if l, err := a.Data(t.Context(), "books"); err != nil || len(l.Data) == 0 || !drawn(l.Data, now) {
					t.Errorf("drawn as %+v, %v", l, err)
				}
			})
		})
	}
}

// TestBackToAnOlderSnapshotInSoak sends data back by two versions while the last one
// soaks. The slot for it is that of the version kept, and retiring that promotes what
// serves: on a storage like ZFS the snapshot bears another name from then on.
func TestBackToAnOlderSnapshotInSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := mem.New(mem.Config{Now: time.Now, Registry: func(string) mem.Image { return mem.Image{} }})
		a, err := agent.New(agent.Config{AllowLocal: true,
			Owner: drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}, Runtimes: map[string]drivers.Runtime{"mem": host.Runtime()},
			Storages: map[string]drivers.Storage{"mem": host.Storage()}, Router: host.Router(), Prober: host.Prober(), Host: host,
			Store: journal.NewMemory(), Random: func() float64 { return 0 },
		})
		if err != nil {
			t.Fatal(err)
		}
		pass := func() reconcile.Record {
			t.Helper()
			if _, err := a.Pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			e, err := a.Explain("books")
			if err != nil {
				t.Fatal(err)
			}
			return e.Record
		}
		for n, version := range []string{"1", "2", "3"} {
			a.SetPlan(books(version, ""))
			if n > 0 {
				time.Sleep(20 * time.Minute) // the soak of the one before is over
			}
			pass()
			host.Send("POST", "books.example.com", "/", uint64(n+1)).Finish()
		}
		before := pass()
		if before.Kept == nil {
			t.Fatal("nothing soaks")
		}
		snapshot := ""
		for _, d := range host.Truth("books").Datasets {
			if d.Role == observed.Origin && d.Attempt != before.Current.Attempt {
				snapshot = d.ID // that of the second upgrade
			}
		}
		if err := a.Restore("books", snapshot, true); err != nil {
			t.Fatal(err)
		}
		now := pass()
		if got := host.Content(now.Data["entries"].Dataset); !slices.Equal(got, []uint64{1}) {
			t.Errorf("back to %s it serves the writes %d, want only the first", snapshot, got)
		}
		if now.Kept == nil || !slices.Equal(host.Content(now.Kept.Data["entries"]), []uint64{1, 2, 3}) {
			t.Errorf("what served before is not kept: %+v", now.Kept)
		}
	})
}

func pathOf(t *testing.T, s drivers.Storage, id string) string {
	t.Helper()
	all, err := s.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if d.ID == id {
			return d.Path
		}
	}
	t.Fatalf("no dataset %q in %+v", id, all)
	return ""
}

func filesIn(t *testing.T, path string) string {
	t.Helper()
	list, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// drawn says that the tree has the dataset, as what serves.
func drawn(nodes []reconcile.DataNode, id string) bool {
	for _, n := range nodes {
		if n.ID == id && n.Role == observed.Live && strings.HasPrefix(n.Use, "serves") || drawn(n.Children, id) {
			return true
		}
	}
	return false
}
