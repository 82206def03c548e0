package main

import (
	"context"
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
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// cramped is a storage that copies, on a disk with little room, and counts copies.
type cramped struct {
	drivers.Storage
	free   int64
	copies int
}

func (c *cramped) Traits() drivers.StorageTraits {
	t := c.Storage.Traits()
	t.CheapClone = false
	return t
}

func (c *cramped) Free(context.Context, plans.Volume) (int64, error) { return c.free, nil }

func (c *cramped) Snapshot(ctx context.Context, id, attempt string, sets []string, progress func(drivers.Progress)) ([]observed.Dataset, error) {
	c.copies++
	return c.Storage.Snapshot(ctx, id, attempt, sets, progress)
}

// crampedBooks is an agent with books on such a disk, 10 MiB of it.
func crampedBooks(t *testing.T, root string, p *plans.Plan) (*agent.Agent, *cramped) {
	t.Helper()
	owner := drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}
	volumes, err := dir.New(dir.Config{Root: root, Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	disk := &cramped{Storage: volumes, free: 1 << 30}
	host := mem.New(mem.Config{Now: time.Now, Registry: func(string) mem.Image { return mem.Image{} }})
	a, err := agent.New(agent.Config{KeepFree: 4 << 20,
		Owner: owner, Runtimes: map[string]drivers.Runtime{"mem": host.Runtime()}, Storages: map[string]drivers.Storage{"dir": disk},
		Router: host.Router(), Prober: host.Prober(), Host: host, Store: journal.NewMemory(), Random: func() float64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	a.SetPlan(p)
	if _, err := a.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := a.Explain("books")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pathOf(t, volumes, e.Record.Data["entries"].Dataset), "big"), make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	disk.free = 6 << 20
	return a, disk
}

// TestIdleSlotWaitsForRoom has the plan name an idle slot whose copies find no room:
// that is said before anything is copied under what serves, and goes on once there is.
func TestIdleSlotWaitsForRoom(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := books("1", "")
		p.Tenants[0].ActiveSlot = plans.Blue
		a, disk := crampedBooks(t, root, p)
		p = books("1", "")
		p.Commit, p.Tenants[0].ActiveSlot = "idle", plans.Blue
		idle := books("2", "").Tenants[0].Core
		p.Tenants[0].Idle = &idle
		a.SetPlan(p)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		_, _ = a.Pass(ctx)
		e, err := a.Explain("books")
		if err != nil {
			t.Fatal(err)
		}
		if r := e.Report; !strings.Contains(r.Why, "6.0 MiB free for volume entries, 24.0 MiB needed") || disk.copies > 0 {
			t.Errorf("%d copies were begun: %s: %s", disk.copies, r.State, r.Why)
		}
		disk.free = 100 << 20
		time.Sleep(10 * time.Minute)
		if _, err := a.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e, err := a.Explain("books"); err != nil || e.Record.Idle == nil {
			t.Errorf("there is room, and the idle slot is empty: %v, %s", err, e.Report.Why)
		}
	})
}

// TestRemovedFromFullDisk removes a tenant because its disk is full: nothing is copied
// for that, the data stay for their grace, and then they are gone.
func TestRemovedFromFullDisk(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, disk := crampedBooks(t, root, books("1", ""))
		disk.free = 0
		p := books("1", "")
		p.Commit, p.Tenants[0].Removed = "gone", true
		a.SetPlan(p)
		ctx, cancel := context.WithTimeout(t.Context(), 72*time.Hour)
		defer cancel()
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		time.Sleep(time.Hour)
		e, err := a.Explain("books")
		if err != nil {
			t.Fatal(err)
		}
		if disk.copies > 0 || !strings.Contains(e.Report.Why, "its data are kept for the grace") || !strings.HasPrefix(e.Report.Next, "the data are destroyed at ") {
			t.Errorf("%d copies; %s: %s (%s)", disk.copies, e.Report.State, e.Report.Why, e.Report.Next)
		}
		all, err := disk.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 1 || all[0].Role != observed.Discarded || filesIn(t, all[0].Path) != "big" {
			t.Errorf("within the grace there is %+v", all)
		}
		time.Sleep(25 * time.Hour)
		if all, err := disk.Observe(t.Context()); err != nil || len(all) > 0 {
			t.Errorf("after the grace there is %+v, %v", all, err)
		}
		cancel()
		<-done
	})
}
