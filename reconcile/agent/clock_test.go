package agent

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// jumping is the system's clock, set forward by hand.
type jumping struct {
	System
	ahead *atomic.Int64
}

func (j jumping) Now() time.Time { return time.Now().Add(time.Duration(j.ahead.Load())) }

// TestAGapProvesNothing: an hour that nobody saw ends no bake.
func TestAGapProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := jumping{ahead: new(atomic.Int64)}
		p := fleet("c1", 1, "app1")
		p.Tenants[0].Bake *= 60 // ten minutes
		w := newWorld(t, p, func(c *Config) { c.Clock = clock })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.agent.Run(ctx) }()
		time.Sleep(time.Minute)
		phase := func() reconcile.Phase { return w.agent.Status().Tenants[0].Phase }
		if phase() != reconcile.Bake {
			t.Fatalf("not in bake: %s", w.text())
		}
		clock.ahead.Store(int64(time.Hour))
		time.Sleep(3 * time.Minute)
		if phase() != reconcile.Bake {
			t.Errorf("the bake ended unseen: %s", w.text())
		}
		time.Sleep(10 * time.Minute)
		if phase() == reconcile.Bake {
			t.Errorf("the bake never ends: %s", w.text())
		}
		stop()
		<-ended
	})
}

func TestClockNeverGoesBack(t *testing.T) {
	store := journal.NewMemory()
	var tx journal.Tx
	future := time.Now().Add(time.Hour).UTC().Truncate(0)
	if err := tx.Put(journal.Meta, metaClock, future); err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(tx); err != nil {
		t.Fatal(err)
	}
	last, err := journalledClock(store)
	if err != nil {
		t.Fatal(err)
	}
	s := newSteady(System{}, last)
	if got := s.now(); got.Before(future) || got.Sub(future) > time.Minute {
		t.Errorf("after a restart it is %s, want %s", got, future)
	}
}

// TestDateSetBack: bakes and deadlines go on while the date is behind, and the
// date is caught up with.
func TestDateSetBack(t *testing.T) {
	var elapsed time.Duration
	back := time.Duration(0)
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := &steady{clock: dated{func() time.Time { return noon.Add(elapsed - back) }}, elapsed: func() time.Duration { return elapsed }}
	s.now()
	back = time.Hour
	last := s.now()
	for range 24 * 60 {
		elapsed += time.Minute
		if now := s.now(); now.Sub(last) < 54*time.Second || now.Sub(last) > time.Minute {
			t.Fatalf("a minute is %s, an hour and %s after noon", now.Sub(last), elapsed)
		} else {
			last = now
		}
	}
	if want := noon.Add(23 * time.Hour); !last.Equal(want) {
		t.Errorf("a day later it is %s, want %s", last, want)
	}
	back = 0
	if now := s.now(); !now.Equal(noon.Add(24 * time.Hour)) {
		t.Errorf("set forward, it is %s", now)
	}
}

type dated struct{ date func() time.Time }

func (d dated) Now() time.Time                 { return d.date() }
func (d dated) NewTimer(t time.Duration) Timer { return System{}.NewTimer(t) }

// TestSoakGoesByTheDate: an hour of soak ends an hour later, though the daemon
// was down meanwhile, and not before.
func TestSoakGoesByTheDate(t *testing.T) {
	for _, down := range []time.Duration{30 * time.Minute, 2 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			upgraded := func(commit, img string) *plans.Plan {
				p := fleet(commit, 1, img)
				p.Tenants[0].Soak.For = 3600 * plans.Second
				return p
			}
			w := newWorld(t, upgraded("c1", "app1"))
			w.pass()
			w.plan = upgraded("c2", "app2")
			w.agent.SetPlan(w.plan)
			w.pass()
			until := w.agent.Status().Tenants[0].Until
			if left := time.Until(until); left < 59*time.Minute || left > time.Hour {
				t.Fatalf("kept for %s", left)
			}
			time.Sleep(down)
			w.store = w.store.Reopen()
			w.start()
			w.daemon(t)
			time.Sleep(time.Minute)
			if kept, early := w.agent.Status().Tenants[0].Kept != "", time.Now().Before(until); kept != early {
				t.Errorf("down for %s: kept %v, %s before the end", down, kept, time.Until(until))
			}
			time.Sleep(max(0, time.Until(until)) + time.Minute)
			if s := w.agent.Status().Tenants[0]; s.Kept != "" {
				t.Errorf("down for %s: kept %s too long\n%s", down, time.Since(until), w.text())
			}
		})
	}
}

// TestRestartInMotion: over a restart at most MaxGap counts, and nothing fails
// before it was looked at and asked anew.
func TestRestartInMotion(t *testing.T) {
	for name, c := range map[string]struct {
		at    time.Duration // after the commit
		down  time.Duration
		phase reconcile.Phase
	}{
		"verify, short": {10 * time.Second, 25 * time.Second, reconcile.Verify},
		"verify, long":  {10 * time.Second, time.Hour, reconcile.Verify},
		"bake, short":   {25 * time.Second, 90 * time.Second, reconcile.Bake},
		"bake, long":    {25 * time.Second, time.Hour, reconcile.Bake},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := fleet("c1", 1, "app1")
				p.Tenants[0].Bake = 600 * plans.Second
				w := newWorld(t, p)
				w.host.SetImage(image("app1"), mem.Image{HealthyAfter: 20 * time.Second})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- w.agent.Run(ctx) }()
				time.Sleep(c.at)
				if got := w.agent.Status().Tenants[0].Phase; got != c.phase {
					t.Fatalf("in %s, want %s", got, c.phase)
				}
				stop()
				<-ended
				time.Sleep(c.down)
				w.store = w.store.Reopen()
				w.start()
				w.daemon(t)
				time.Sleep(2 * time.Minute)
				s := w.agent.Status().Tenants[0]
				if s.Phase != reconcile.Bake || s.State != reconcile.Progressing {
					t.Errorf("a restart failed it, or ended its bake:\n%s", w.text())
				}
				time.Sleep(12 * time.Minute)
				w.want(reconcile.Converged)
			})
		})
	}
}
