package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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

// TestRamdiskLostInAnUpgrade reboots a host while the data of a volatile volume are
// cloned: the ramdisk is empty afterwards. The upgrade is undone for that reason,
// the volume begins empty, and then the upgrade is made.
func TestRamdiskLostInAnUpgrade(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		owner := drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}
		volumes, err := dir.New(dir.Config{Root: root, Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		host := mem.New(mem.Config{Now: time.Now, Registry: func(string) mem.Image { return mem.Image{Create: 10 * time.Second} }})
		store := journal.NewMemory()
		clones := &slowClones{Storage: volumes, hang: true}
		open := func(version string) *agent.Agent {
			a, err := agent.New(agent.Config{
				Owner: owner, Runtimes: map[string]drivers.Runtime{"mem": mounts{host.Runtime()}}, Storages: map[string]drivers.Storage{"dir": clones},
				Router: host.Router(), Prober: host.Prober(), Host: host, Store: store, Random: func() float64 { return 0 },
			})
			if err != nil {
				t.Fatal(err)
			}
			a.SetPlan(ramBooks(version))
			return a
		}
		a := open("1")
		if _, err := a.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.SetPlan(ramBooks("2"))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		a.Pass(ctx)
		cancel()
		if e, err := a.Explain("books"); err != nil || e.Record.Attempt == nil || e.Record.Attempt.Phase != reconcile.Prepare {
			t.Fatalf("the upgrade is not at its clone: %+v, %v", e, err)
		}
		if err := os.RemoveAll(filepath.Join(root, "books")); err != nil {
			t.Fatal(err)
		}
		host.Reboot()
		store, clones.hang = store.Reopen(), false
		a = open("2")
		if _, err := a.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		e, err := a.Explain("books")
		if err != nil {
			t.Fatal(err)
		}
		if e.Report.State != reconcile.Converged || e.Report.Question != nil || e.Record.Current.Generation != ramBooks("2").Tenants[0].Target().Core {
			t.Errorf("%s: %s, %+v", e.Report.State, e.Report.Why, e.Report.Question)
		}
		pathOf(t, volumes, e.Record.Data["entries"].Dataset)
	})
}

func ramBooks(version string) *plans.Plan {
	p := books(version, "")
	p.Tenants[0].Volumes = map[string]plans.Volume{"entries": {Source: "books", OnUpgrade: plans.Clone, Writes: plans.Quiesce, Volatile: true}}
	return p
}

// slowClones has clones that do not end while hang is set.
type slowClones struct {
	drivers.Storage
	hang bool
}

func (s *slowClones) Clone(ctx context.Context, id, snapshot string, want drivers.VolumeOrder, progress func(drivers.Progress)) (observed.Dataset, error) {
	if s.hang {
		<-ctx.Done()
		return observed.Dataset{}, ctx.Err()
	}
	return s.Storage.Clone(ctx, id, snapshot, want, progress)
}

// mounts starts nothing without the data it mounts.
type mounts struct{ drivers.Runtime }

func (r mounts) Start(ctx context.Context, id string, want plans.Instance) error {
	for _, b := range want.Volumes {
		if _, err := os.Stat(b.Host); err != nil {
			return observed.Wrap("start", want.Key.String(), observed.Environment, errors.New("mount "+err.Error()), "")
		}
	}
	return r.Runtime.Start(ctx, id, want)
}
