package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
	"github.com/gitops-fleet/reconcile/schema"
)

// resolve reads an example's plans, with one text of them replaced.
func resolve(t *testing.T, dir, old, text string) *plans.Plan {
	t.Helper()
	work := t.TempDir()
	for _, name := range []string{"fleet.yaml", "validator.yaml"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name), []byte(strings.ReplaceAll(string(content), old, text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docs, problems, err := schema.Load(os.DirFS(work), schema.Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	plan, problems := plans.Resolve(docs, plans.Options{Node: "host-1"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return plan
}

// TestExampleUpgrade plays the upgrade of examples/blue-green-zfs on a host in
// memory: its dry-run is what the README shows, and the upgrade does it, slow
// catch-up and freeze included. Run with -update and read the diff.
func TestExampleUpgrade(t *testing.T) {
	const dir = "../../examples/blue-green-zfs"
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	before, after := resolve(t, dir+"/plans", "", ""), resolve(t, dir+"/plans", "validator:2.1@sha256:5555", "validator:2.2@sha256:7777")
	synctest.Test(t, func(t *testing.T) {
		zfs := drivers.StorageTraits{Name: "zfs", PointInTime: true, CheapClone: true, Promote: true, Tuned: true}
		host := mem.New(mem.Config{Now: time.Now, Storage: zfs, Registry: func(image string) mem.Image {
			if strings.Contains(image, "sha256:7777") {
				return mem.Image{HealthyAfter: 12 * time.Minute} // replays what it missed
			}
			return mem.Image{}
		}})
		// The copying one has no snapshot of one moment.
		ramdisk := mem.New(mem.Config{Now: time.Now, Storage: drivers.StorageTraits{Name: "dir"}})
		a, err := agent.New(agent.Config{
			Owner:    drivers.Owner{Fleet: "validators", Node: "host-1", Controller: "test"},
			Runtimes: map[string]drivers.Runtime{"docker": host.Runtime()}, DefaultRuntime: "docker",
			Storages: map[string]drivers.Storage{"zfs": host.Storage(), "dir": ramdisk.Storage()}, DefaultStorage: "dir",
			Router: host.Router(), Prober: host.Prober(), Host: host, Store: journal.NewMemory(), Random: func() float64 { return 0 },
		})
		if err != nil {
			t.Fatal(err)
		}
		pass := func(p *plans.Plan) {
			a.SetPlan(p)
			if out, err := a.Pass(t.Context()); err != nil || len(out.Blocked)+len(out.Waiting) > 0 {
				t.Fatalf("%+v, %v", out, err)
			}
		}
		pass(before)
		preview, err := a.DryRun(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		writePreview(&got, previewResult{Preview: preview}, 0)
		golden := dir + "/upgrade.txt"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("the dry-run of the upgrade is now:\n%s\nand was:\n%s", got.String(), want)
		}
		begin := time.Now()
		pass(after)
		s := a.Status().Tenants[0]
		if s.State != reconcile.Converged || s.ActiveSlot != plans.Green || s.Kept != plans.Blue || time.Since(begin) < 22*time.Minute {
			t.Errorf("upgraded in %s to %+v", time.Since(begin), s)
		}
		l, err := a.Data(t.Context(), "validator")
		if err != nil {
			t.Fatal(err)
		}
		clones := 0
		for _, n := range l.Data {
			for _, snap := range n.Children {
				clones += len(snap.Children)
			}
		}
		if clones != 3 {
			t.Errorf("%d clones, want those of ledger, snapshots and accounts: %+v", clones, l.Data)
		}
		// Its data are with two drivers, and one of its volumes is only for as long as
		// the host is up.
		gone := *after
		gone.Tenants = []plans.Tenant{{Name: "validator", Node: after.Tenants[0].Node, Removed: true, Retention: after.Tenants[0].Retention}}
		pass(&gone)
		if seen, _, err := host.Runtime().Observe(t.Context(), "validator"); err != nil || len(seen) != 0 {
			t.Errorf("removed, and %d instances are there, %v", len(seen), err)
		}
		for _, storage := range []drivers.Storage{host.Storage(), ramdisk.Storage()} {
			sets, err := storage.Observe(t.Context(), "validator")
			if err != nil || len(sets) == 0 {
				t.Fatalf("%d datasets in the grace, %v", len(sets), err)
			}
			for _, set := range sets {
				if set.Role == observed.Live {
					t.Errorf("still live: %+v", set)
				}
			}
		}
	})
}
