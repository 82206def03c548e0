package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/fault"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

func TestPassBringsAFleetUpAndUpgradesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 3, "app1"))
		w.pass()
		w.want(reconcile.Converged)
		w.plan = fleet("c2", 3, "app2")
		w.agent.SetPlan(w.plan)
		out := w.pass()
		w.want(reconcile.Converged)
		if out.Commit != "c2" || out.Actions == 0 || len(out.Blocked)+len(out.Waiting) > 0 {
			t.Errorf("outcome %+v", out)
		}
		if len(out.Due) != 3 || !strings.Contains(w.text(), `active "green"`) {
			t.Errorf("due later: %v\n%s", out.Due, w.text())
		}
		for _, s := range w.agent.Status().Tenants {
			if len(s.Services) != 1 || !s.Services[0].Healthy || s.Services[0].Image == "" || s.ActiveSlot != plans.Green {
				t.Errorf("status %+v", s)
			}
		}
	})
}

func TestSecondPassWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 3, "app1"))
		w.pass()
		before, commits := w.host.Writes(), w.store.Commits()
		if out := w.pass(); out.Actions != 0 {
			t.Errorf("a second pass acted: %+v", out)
		}
		w.agent.Refresh()
		w.pass()
		w.agent.SetPlan(fleet("c1", 3, "app1"))
		w.agent.Refresh()
		w.pass()
		if after := w.host.Writes(); !reflect.DeepEqual(before, after) {
			t.Errorf("write calls %v, then %v", before, after)
		}
		if n := w.store.Commits(); n != commits {
			t.Errorf("%d journal transactions for nothing", n-commits)
		}
		// And so does the pass of the next process.
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		if after := w.host.Writes(); !reflect.DeepEqual(before, after) {
			t.Errorf("write calls of a new process: %v, then %v", before, after)
		}
	})
}

func TestFailedUpgradeGoesBackAndStopsTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 3, "app1"))
		w.pass()
		w.host.SetImage(image("bad"), mem.Image{Sick: true, Log: "panic: no database"})
		w.agent.SetPlan(fleet("c2", 3, "bad"))
		out := w.pass()
		if len(out.Blocked) != 1 || out.Blocked[0].Tenant != "t00" || out.Blocked[0].State != reconcile.HeldBack {
			t.Fatalf("blocked %+v\n%s", out.Blocked, w.text())
		}
		for _, s := range w.agent.Status().Tenants {
			if s.ActiveSlot != plans.Blue || !s.Services[0].Healthy {
				t.Errorf("%s does not serve what it served: %+v", s.Name, s)
			}
		}
		w.agent.SetPlan(fleet("c3", 3, "app1"))
		w.pass()
		w.want(reconcile.Converged)
	})
}

func TestRepairsWhatWasKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		w.pass()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.agent.Run(ctx) }()
		time.Sleep(time.Minute)
		w.host.RemoveByHand(plans.Key{Tenant: "t00", Slot: plans.Blue, Service: "app"})
		time.Sleep(10 * time.Second)
		w.want(reconcile.Converged)
		if s := w.agent.Status("t00"); len(s.Tenants[0].Services) != 1 || !s.Tenants[0].Services[0].Healthy {
			t.Errorf("not repaired: %+v", s)
		}
		w.host.DropRoute("t01") // nothing hints at it: the slow look finds it
		time.Sleep(7 * time.Minute)
		w.want(reconcile.Converged)
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("run ended with %v", err)
		}
	})
}

// summary is what must be equal however a run was interrupted.
func (w *world) summary() string {
	var b strings.Builder
	for _, s := range w.agent.Status().Tenants {
		fmt.Fprintf(&b, "%s %s %s %s %s kept %q", s.Name, s.State, s.Reason, s.ActiveSlot, s.Generation, s.Kept)
		e, _ := w.agent.Explain(s.Name)
		for _, in := range e.Facts.Instances {
			fmt.Fprintf(&b, " %s=%s/%s", in.Key, in.Phase, in.Digest)
		}
		for _, h := range e.Record.Withheld {
			fmt.Fprintf(&b, " withheld %s %s", h.Target.Core, h.Reason)
		}
		fmt.Fprintf(&b, " route %s\n", e.Facts.Route.Entry.Slot)
	}
	return b.String()
}

// TestCrashAtEveryBoundary kills the agent before and after every journal
// transaction of an upgrade, good and bad, and wants the same end.
func TestCrashAtEveryBoundary(t *testing.T) {
	for _, img := range []string{"app2", "bad"} {
		t.Run(img, func(t *testing.T) {
			run := func(boundary int, when journal.When) (end string, commits int) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, fleet("c1", 2, "app1"))
					w.pass()
					w.host.SetImage(image("bad"), mem.Image{Sick: true})
					w.plan = fleet("c2", 2, img)
					begin := w.store.Commits()
					if boundary > 0 {
						w.store.Crash(boundary, when)
					}
					w.agent.SetPlan(w.plan)
					_, err := w.tryPass()
					commits = w.store.Commits() - begin
					if err != nil {
						if !errors.Is(err, journal.ErrClosed) {
							t.Fatal(err)
						}
						w.store = w.store.Reopen()
						w.start()
						w.pass()
					}
					w.agent.Refresh()
					w.pass()
					end = w.summary()
				})
				return end, commits
			}
			want, commits := run(0, 0)
			if commits < 8 {
				t.Fatalf("only %d transactions", commits)
			}
			for n := 1; n <= commits; n++ {
				for _, when := range []journal.When{journal.Before, journal.After} {
					if got, _ := run(n, when); got != want {
						t.Errorf("crash %d of %d (%d):\n%s\nwant\n%s", n, commits, when, got, want)
					}
				}
			}
		})
	}
}

// TestLostRequestsAndReplies loses every write call in turn, on the way there
// and on the way back, and wants the same end.
func TestLostRequestsAndReplies(t *testing.T) {
	run := func(lose int, as fault.Fault) (end string, calls int) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			armed := false
			f := fault.Faults{Decide: func(op fault.Op, _ string) fault.Fault {
				mu.Lock()
				defer mu.Unlock()
				if op.Look() || !armed {
					return fault.None
				}
				if calls++; calls == lose {
					return as
				}
				return fault.None
			}}
			w := newWorld(t, fleet("c1", 1, "app1"), func(c *Config) {
				c.Runtimes = map[string]drivers.Runtime{"mem": fault.Runtime(c.Runtimes["mem"], f)}
				c.Router = fault.Router(c.Router, f)
			})
			w.pass()
			mu.Lock()
			armed = true
			mu.Unlock()
			w.agent.SetPlan(fleet("c2", 1, "app2"))
			w.pass()
			end = w.summary()
		})
		return end, calls
	}
	want, calls := run(0, fault.None)
	if calls < 5 {
		t.Fatalf("only %d write calls", calls)
	}
	for n := 1; n <= calls; n++ {
		for _, as := range []fault.Fault{fault.LostRequest, fault.LostReply} {
			if got, _ := run(n, as); got != want {
				t.Errorf("call %d, %s:\n%s\nwant\n%s", n, as, got, want)
			}
		}
	}
}

// slow makes pulls take a while, and counts how many are under way.
type slow struct {
	drivers.Runtime
	mu        *sync.Mutex
	now, most *int
	cancelled *int
	took      time.Duration
}

func (s slow) Pull(ctx context.Context, image string, progress func(drivers.Progress)) error {
	s.mu.Lock()
	*s.now++
	*s.most = max(*s.most, *s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		*s.now--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(s.took):
		return s.Runtime.Pull(ctx, image, progress)
	case <-ctx.Done():
		s.mu.Lock()
		*s.cancelled++
		s.mu.Unlock()
		return context.Cause(ctx)
	}
}

func slowly(took time.Duration) (s *slow, config func(*Config)) {
	s = &slow{mu: &sync.Mutex{}, now: new(int), most: new(int), cancelled: new(int), took: took}
	return s, func(c *Config) {
		s.Runtime = c.Runtimes["mem"]
		c.Runtimes = map[string]drivers.Runtime{"mem": *s}
		c.Parallel = 2
	}
}

func TestParallelLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := fleet("c1", 6, "app1")
		for i := range p.Tenants {
			p.Tenants[i].Template = "" // each its own change: nobody waits for another
		}
		s, config := slowly(30 * time.Second)
		w := newWorld(t, p, config)
		w.pass()
		w.want(reconcile.Converged)
		if *s.most != 2 {
			t.Errorf("%d pulls at a time, want 2", *s.most)
		}
	})
}

func TestPullIsCancelledWhenThePlanChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, config := slowly(10 * time.Minute)
		w := newWorld(t, fleet("c1", 1, "app1"), config)
		go func() {
			time.Sleep(time.Minute)
			w.agent.SetPlan(fleet("c2", 1, "app2"))
		}()
		begin := time.Now()
		w.pass()
		w.want(reconcile.Converged)
		if *s.cancelled != 1 || time.Since(begin) > 13*time.Minute {
			t.Errorf("%d pulls cancelled, in %s", *s.cancelled, time.Since(begin))
		}
	})
}

func TestRemoteDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		since := time.Now()
		w.agent.SetSourceProblem(since, &observed.Problem{Op: "fetch", Ref: "git.example.com", Class: observed.Environment, Text: "connection refused"})
		w.pass()
		w.want(reconcile.Converged)
		s := w.agent.Status()
		if s.Source.Problem == nil || !s.Source.Since.Equal(since) || s.Commit != "c1" {
			t.Errorf("status %+v", s.Source)
		}
		events, err := w.agent.Events(journal.Query{})
		if err != nil || !slices.ContainsFunc(events, func(e journal.Logged) bool { return e.Kind == "source.unreadable" }) {
			t.Errorf("no event says so: %v, %v", events, err)
		}
		w.agent.SetPlan(fleet("c2", 1, "app2"))
		if s := w.agent.Status(); s.Source.Problem != nil {
			t.Error("the problem outlived a new plan")
		}
	})
}

// TestDryRunIsWhatHappens: the (op, target) sequence printed is the one executed.
func TestDryRunIsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 3, "app1"))
		compare := func(step string, some bool) {
			t.Helper()
			before := w.host.Writes()
			preview, err := w.agent.DryRun(t.Context(), nil)
			if err != nil {
				t.Fatal(step, err)
			}
			if !reflect.DeepEqual(before, w.host.Writes()) {
				t.Fatal(step, "the dry-run wrote")
			}
			w.done = nil
			w.pass()
			want := map[string][]string{}
			for _, a := range w.done {
				want[a.Tenant] = append(want[a.Tenant], string(a.Verb)+" "+Target(a))
			}
			got := map[string][]string{}
			for _, c := range preview.Changes {
				for _, a := range c.Actions {
					got[c.Tenant] = append(got[c.Tenant], a.Op+" "+a.Target)
				}
			}
			if some != (len(want) > 0) || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: printed\n%v\nexecuted\n%v\nblocked %+v", step, got, want, preview.Blocked)
			}
		}
		compare("bring up", true)
		compare("nothing to do", false)
		w.agent.SetPlan(fleet("c2", 3, "app2"))
		compare("upgrade", true)
		w.agent.SetPlan(fleet("c1", 3, "app1"))
		compare("back", true)
		w.host.RemoveByHand(plans.Key{Tenant: "t01", Slot: plans.Blue, Service: "app"})
		w.agent.Refresh()
		compare("repair", true)
	})
}

func TestPreviewForScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		p, err := w.agent.DryRun(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Commit  string
			Changes []struct {
				Tenant, Op string
				Actions    []struct{ ID, Op, Target, Why string }
			}
			Summary map[string]int
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if got.Commit != "c1" || len(got.Changes) != 2 || got.Changes[0].Op != "add" || got.Summary["add"] != 2 || len(p.Ports) != 2 {
			t.Errorf("%s", data)
		}
		for _, a := range got.Changes[0].Actions {
			if a.ID == "" || a.Op == "" || a.Target == "" || a.Why == "" {
				t.Errorf("an action without its words: %+v", a)
			}
		}
	})
}
