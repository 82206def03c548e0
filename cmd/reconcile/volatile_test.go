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

// TestRebootEmptiesRamdiskInUpgrade reboots the host at moments of an upgrade whose
// data are on a ramdisk. No release is blamed for it: both versions begin empty, and
// the plan is reached.
func TestRebootEmptiesRamdiskInUpgrade(t *testing.T) {
	for _, at := range []time.Duration{time.Second, 3 * time.Second, 12 * time.Second, 40 * time.Second, 80 * time.Second} {
		t.Run(at.String(), func(t *testing.T) {
			root := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				owner := drivers.Owner{Fleet: "f", Node: "n", Controller: "c"}
				volumes, err := dir.New(dir.Config{Root: root, Owner: owner})
				if err != nil {
					t.Fatal(err)
				}
				host := mem.New(mem.Config{Now: time.Now, Registry: func(string) mem.Image { return mem.Image{Create: 10 * time.Second} }})
				store := journal.NewMemory()
				begin := func() *agent.Agent {
					a, err := agent.New(agent.Config{
						Owner: owner, Runtimes: map[string]drivers.Runtime{"mem": mounting{host.Runtime()}}, Storages: map[string]drivers.Storage{"dir": volumes},
						Router: host.Router(), Prober: host.Prober(), Host: host, Store: store, Random: func() float64 { return 0 },
					})
					if err != nil {
						t.Fatal(err)
					}
					return a
				}
				plan := func(version string) *plans.Plan {
					p := books(version, "")
					v := p.Tenants[0].Volumes["entries"]
					v.Volatile = true
					p.Tenants[0].Volumes["entries"] = v
					return p
				}
				pass := func(a *agent.Agent, limit time.Duration) reconcile.Report {
					t.Helper()
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					_, _ = a.Pass(ctx) // its time may be over
					e, err := a.Explain("books")
					if err != nil {
						t.Fatal(err)
					}
					return e.Report
				}
				a := begin()
				a.SetPlan(plan("1"))
				pass(a, time.Hour)
				a.SetPlan(plan("2"))
				pass(a, at)
				if err := os.RemoveAll(filepath.Join(root, "books")); err != nil {
					t.Fatal(err)
				}
				host.Reboot()
				store = store.Reopen()
				a = begin()
				a.SetPlan(plan("2"))
				for range 4 { // it is tried again after a pause
					r := pass(a, 10*time.Minute)
					if r.Failed || r.State == reconcile.HeldBack {
						t.Fatalf("the release is blamed: %s %s: %s", r.State, r.Reason, r.Why)
					}
					time.Sleep(2 * time.Minute)
				}
				if r := pass(a, 10*time.Minute); r.State != reconcile.Converged || !r.Done {
					t.Errorf("%s: %s (%s)", r.State, r.Why, r.Next)
				}
			})
		})
	}
}

// mounting is a runtime that starts nothing without the volumes it shall mount.
type mounting struct{ drivers.Runtime }

func (m mounting) Start(ctx context.Context, id string, want plans.Instance) error {
	for _, b := range want.Volumes {
		if _, err := os.Stat(b.Host); err != nil {
			return observed.Wrap("start", want.Key.String(), observed.Environment, errors.New("mount "+err.Error()), "")
		}
	}
	return m.Runtime.Start(ctx, id, want)
}
