package agent

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	s := &steady{clock: System{}, last: last}
	if got := s.now(); !got.Equal(future) {
		t.Errorf("after a restart it is %s, want %s", got, future)
	}
}
