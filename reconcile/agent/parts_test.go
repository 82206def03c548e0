package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// pools is a storage whose volumes are in the pool they are named for.
type pools struct {
	drivers.Storage
	away *string // "" is none
}

func (p pools) Part(v plans.Volume) string { return v.Source }

func (p pools) PartOf(dataset string) string { return strings.Split(dataset, "/")[1] }

func (p pools) CheckVolumes(_ context.Context, vs map[string]plans.Volume) error {
	for name, v := range plans.Sorted(vs) {
		for other, w := range plans.Sorted(vs) {
			if v.Source != w.Source {
				return refused(name+" and "+other+" are in different pools", "keep them in one")
			}
		}
	}
	return nil
}

func (p pools) CheckClone(_ context.Context, of string, v plans.Volume) error {
	if v.Size == "1G" {
		return observed.Wrap("check", of, observed.Environment, errors.New("a filesystem does not shrink"), "write 2G; it goes on by itself then")
	}
	return nil
}

func (p pools) Observe(ctx context.Context, tenants ...string) ([]observed.Dataset, error) {
	seen, err := p.Storage.Observe(ctx, tenants...)
	if err != nil || *p.away == "" {
		return seen, err
	}
	seen = slices.DeleteFunc(seen, func(d observed.Dataset) bool { return p.PartOf(d.ID) == *p.away })
	return seen, &observed.Partial{Parts: map[string]*observed.Problem{*p.away: {
		Op: "observe", Ref: *p.away, Class: observed.Environment, Text: "no such pool", Hint: "zpool import " + *p.away}}}
}

// inPools is a fleet with data in the pools given, "" for none.
func inPools(img string, where ...string) *plans.Plan {
	p := fleet("c"+img, len(where), img)
	for i, pool := range where {
		t := &p.Tenants[i]
		t.Template, t.Policy = "", ""
		if pool == "" {
			continue
		}
		t.Volumes = map[string]plans.Volume{pool: {Source: pool, OnUpgrade: plans.Clone, Writes: plans.Quiesce}}
		s := t.Core.Services["app"]
		s.Mounts = map[string]plans.Mount{"/data": {Volume: pool}}
		t.Core.Services["app"] = s
	}
	return p
}

// TestAPoolThatIsAwayBlindsItsOwn: only who has data in it, or is to have some,
// waits and says why, also over a restart; nobody's data are taken for gone. The
// others are upgraded, and who is new among them begins.
func TestAPoolThatIsAwayBlindsItsOwn(t *testing.T) {
	for name, restart := range map[string]bool{"while it runs": false, "before it starts": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				away := ""
				w := newWorld(t, inPools("app1", "tank", "fast", ""), func(c *Config) {
					c.Storages["mem"] = pools{c.Storages["mem"], &away}
				})
				w.pass()
				w.want(reconcile.Converged)
				serves := w.agent.Status().Tenants[1]

				away = "fast"
				before := len(w.done)
				w.plan = inPools("app2", "tank", "fast", "", "tank", "fast")
				if restart {
					w.store = w.store.Reopen()
					w.start()
				} else {
					w.agent.SetPlan(w.plan)
				}
				preview, err := w.agent.DryRun(t.Context(), nil)
				if err != nil || len(preview.Unseen) != 1 || !strings.Contains(preview.Unseen[0].Hint, "zpool import fast") {
					t.Errorf("dry-run: %+v, %v", preview, err)
				}
				w.pass()
				for i, want := range []reconcile.State{reconcile.Converged, reconcile.Unknown, reconcile.Converged, reconcile.Converged, reconcile.Unknown} {
					s := w.agent.Status().Tenants[i]
					if s.State != want || want == reconcile.Converged && s.Generation != w.plan.Tenants[i].Target().Core {
						t.Errorf("%s is %s, want %s\n%s", s.Name, s.State, want, w.text())
					}
					if want == reconcile.Unknown && !strings.Contains(fmt.Sprint(s.Why, s.Problem), "no such pool") {
						t.Errorf("%s does not say why it waits: %s, %+v", s.Name, s.Why, s.Problem)
					}
				}
				if s := w.agent.Status().Tenants[1]; s.Generation != serves.Generation || s.ActiveSlot != serves.ActiveSlot {
					t.Errorf("what serves on data that cannot be seen was moved: %s", w.text())
				}
				for _, a := range w.done[before:] {
					if a.Tenant == "t01" || a.Tenant == "t04" {
						t.Errorf("%s though the data of %s cannot be seen", a.ID, a.Tenant)
					}
				}
				away = ""
				w.agent.Refresh()
				w.pass()
				w.want(reconcile.Converged)
			})
		})
	}
}

// TestDataInAPoolThatIsAway: a source that the plan moved meanwhile does not make
// them data that are gone.
func TestDataInAPoolThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := ""
		w := newWorld(t, inPools("app1", "fast"), func(c *Config) { c.Storages["mem"] = pools{c.Storages["mem"], &away} })
		w.pass()
		w.want(reconcile.Converged)
		away = "fast"
		v := w.plan.Tenants[0].Volumes["fast"]
		v.Source = "tank"
		w.plan.Tenants[0].Volumes["fast"] = v
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		w.want(reconcile.Unknown)
	})
}

// TestVolumesInTwoPools: what no snapshot could be taken over is refused before
// anything is stopped, and by the dry-run; a volume that no upgrade copies may be
// anywhere.
func TestVolumesInTwoPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := ""
		w := newWorld(t, inPools("app1", "tank"), func(c *Config) { c.Storages["mem"] = pools{c.Storages["mem"], &away} })
		w.pass()
		w.want(reconcile.Converged)
		for _, mode := range []string{plans.Share, plans.Clone} {
			w.plan = inPools("app-"+mode, "tank")
			logs := w.plan.Tenants[0].Volumes["tank"]
			if logs.Source = "fast"; mode == plans.Share {
				logs.OnUpgrade, logs.Writes, logs.Access = mode, "", "many"
			}
			w.plan.Tenants[0].Volumes["fast"] = logs
			w.agent.SetPlan(w.plan)
			preview, err := w.agent.DryRun(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			before := len(w.done)
			w.pass()
			s := w.agent.Status().Tenants[0]
			const why = "fast and tank are in different pools"
			if mode == plans.Share {
				w.want(reconcile.Converged)
				continue
			}
			if s.State != reconcile.HeldBack || !strings.Contains(s.Why, why) {
				t.Errorf("it does not say why it is refused: %s", w.text())
			}
			for _, a := range w.done[before:] {
				if a.Verb != reconcile.Pull && a.Verb != reconcile.Check {
					t.Errorf("%s before it was refused", a.ID)
				}
			}
			if text := fmt.Sprintf("%+v", preview.Blocked); !strings.Contains(text, why) {
				t.Errorf("the dry-run does not say it: %s", text)
			}
		}
	})
}

// TestDataThatCannotBecomeIt: what a clone of the data could not be is told before
// anything is stopped, and by the dry-run; it blames no release, and the corrected
// plan goes on by itself.
func TestDataThatCannotBecomeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := ""
		w := newWorld(t, inPools("app1", "tank"), func(c *Config) {
			c.Storages["mem"] = sized{pools{c.Storages["mem"], &away}}
		})
		w.pass()
		w.want(reconcile.Converged)
		plan := func(size string) {
			w.plan = inPools("app2", "tank")
			v := w.plan.Tenants[0].Volumes["tank"]
			v.Size = size
			w.plan.Tenants[0].Volumes["tank"] = v
			w.agent.SetPlan(w.plan)
		}
		plan("1G")
		preview, err := w.agent.DryRun(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		const why = "a filesystem does not shrink"
		if text := fmt.Sprintf("%+v", preview.Blocked); !strings.Contains(text, why) {
			t.Errorf("the dry-run does not say it: %s", text)
		}
		before := len(w.done)
		w.pass()
		if s := w.agent.Status().Tenants[0]; !strings.Contains(s.Why, why) {
			t.Errorf("it does not say why it waits: %s", w.text())
		}
		for _, a := range w.done[before:] {
			if a.Verb != reconcile.Pull && a.Verb != reconcile.Check {
				t.Errorf("%s before it was told", a.ID)
			}
		}
		plan("2G")
		time.Sleep(10 * time.Minute)
		w.pass()
		w.want(reconcile.Converged)
	})
}

// sized has sizes.
type sized struct{ pools }

func (s sized) Traits() drivers.StorageTraits {
	t := s.pools.Traits()
	t.Tuned = true
	return t
}

// TestWithoutPartsAllIsBlind: a storage that cannot say what is in which part is
// not taken to have shown the rest.
func TestWithoutPartsAllIsBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := ""
		type plain struct{ drivers.Storage }
		w := newWorld(t, inPools("app1", "tank"), func(c *Config) {
			c.Storages["mem"] = plain{pools{c.Storages["mem"], &away}}
		})
		w.pass()
		away = "fast"
		w.agent.Refresh()
		time.Sleep(time.Minute)
		w.pass()
		w.want(reconcile.Unknown)
	})
}
