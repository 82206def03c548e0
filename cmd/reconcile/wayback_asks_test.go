package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// back plays tenants on real directories, and says what is on them.
type back struct {
	*agent.Agent
	t       *testing.T
	volumes drivers.Storage
	host    *mem.Host
}

// newBack is an agent on real directories. Images whose digest is of the digit 2 get
// sick in their bake, where late says so.
func newBack(t *testing.T, root string, late bool) back {
	t.Helper()
	owner := drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}
	volumes, err := dir.New(dir.Config{Root: root, Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	host := mem.New(mem.Config{Now: time.Now, Registry: func(image string) mem.Image {
		if late && strings.HasSuffix(image, "2") {
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
	return back{a, t, volumes, host}
}

// moves brings the tenant to what a plan says.
func (b back) moves(p *plans.Plan) {
	b.t.Helper()
	b.SetPlan(p)
	if _, err := b.Pass(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b back) explain() agent.Explanation {
	b.t.Helper()
	e, err := b.Explain("books")
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// write puts a file into the data that serve.
func (b back) write(name string) {
	b.t.Helper()
	at := pathOf(b.t, b.volumes, b.explain().Record.Data["entries"].Dataset)
	if err := os.WriteFile(filepath.Join(at, name), []byte(name), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// asks says that version 2 serves its own data and a person is asked about going
// back, under that kind of question.
func (b back) asks(kind string) {
	b.t.Helper()
	e := b.explain()
	if two := books("2", "").Tenants[0].Target().Core; e.Record.Current.Generation != two {
		b.t.Errorf("%s serves, want %s: %s", e.Record.Current.Generation, two, e.Report.Why)
	}
	if got := filesIn(b.t, pathOf(b.t, b.volumes, e.Record.Data["entries"].Dataset)); got != "new old" {
		b.t.Errorf("it serves %q", got)
	}
	if q := e.Report.Question; q == nil || !strings.HasPrefix(q.ID, "books."+kind+"-") || !strings.Contains(q.Text, "up to 3 bytes written since 2000-01-01") {
		b.t.Errorf("asks %+v", q)
	}
}

// TestWaysBackWithoutRoutes: a database without routes, whose writes nobody counts,
// does not go back by itself from what it may have committed.
func TestWaysBackWithoutRoutes(t *testing.T) {
	plan := func(version string) *plans.Plan {
		p := books(version, "")
		p.Tenants[0].Strategy, p.Tenants[0].Routes = plans.Recreate, nil
		return p
	}
	for name, late := range map[string]bool{"sick in its bake": true, "reverted in its soak": false} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				b := newBack(t, root, late)
				b.moves(plan("1"))
				b.write("old")
				if late {
					go func() {
						time.Sleep(10 * time.Second) // in its bake
						b.write("new")
					}()
					b.moves(plan("2"))
					b.asks("back")
					return
				}
				b.moves(plan("2"))
				b.write("new")
				b.moves(plan("1"))
				b.asks("data-back")
			})
		})
	}
}

// TestWayBackPastTheCommit: the plan goes back to what it said before, in which the
// volume is no quiesced clone, or accepts that writes are left behind. What was said
// of the version that serves counts all the same.
func TestWayBackPastTheCommit(t *testing.T) {
	for name, volume := range map[string]plans.Volume{
		"the same":   {Source: "books", OnUpgrade: plans.Clone, Writes: plans.Quiesce},
		"discard":    {Source: "books", OnUpgrade: plans.Clone, Writes: plans.Quiesce, OnBack: plans.Discard},
		"not a copy": {Source: "books"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				b := newBack(t, root, false)
				one := books("1", "")
				one.Tenants[0].Volumes = map[string]plans.Volume{"entries": volume}
				if volume.OnUpgrade == "" {
					one.Tenants[0].Strategy = plans.Recreate
				}
				b.moves(one)
				b.write("old")
				b.moves(books("2", ""))
				b.write("new")
				b.host.Send("POST", "books.example.com", "/", 1).Finish()
				b.moves(one)
				b.asks("data-back")
			})
		})
	}
}
