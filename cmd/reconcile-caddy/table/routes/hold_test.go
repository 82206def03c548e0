package routes

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// TestNothingFollowsTheOldSlot: once a change is acknowledged, no request that
// begins later goes where it led before, and none in a hold goes anywhere.
func TestNothingFollowsTheOldSlot(t *testing.T) {
	table := open(t, fastDir(t))
	e := entry("acme", plans.Blue)
	set(t, table, e)
	var allowed atomic.Value // the slot requests may be sent to; "" in a confirmed hold
	allowed.Store(plans.Blue)
	var stray atomic.Int64
	var sent atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				f, err := table.Take(ctx, acme)
				if err != nil {
					continue // ctx ended
				}
				// Nothing may change while a flight is open: the changer waits for it.
				if f.Slot != allowed.Load() {
					stray.Add(1)
				}
				sent.Add(1)
				f.Land()
			}
		})
	}
	for n := range 100 {
		before := sent.Load()
		eventually(t, "requests flow", func() bool { return sent.Load() > before+10 })
		e.Hold = &plans.Hold{ID: string(rune('a'+n%26)) + time.Now().String(), Limit: plans.Duration(time.Minute)}
		set(t, table, e)
		eventually(t, "drained", func() bool {
			seen, _ := table.Observe("acme")
			return seen["acme"].Held && seen["acme"].Slots[e.Slot].InFlight == 0
		})
		allowed.Store(plans.NoSlot)
		atHold := sent.Load()
		time.Sleep(time.Millisecond)
		if sent.Load() != atHold {
			t.Fatal("a request was sent in a confirmed and drained hold")
		}
		e.Slot, e.Hold = e.Slot.Other(), nil
		allowed.Store(e.Slot)
		set(t, table, e)
	}
	stop()
	clients.Wait()
	if n := stray.Load(); n != 0 {
		t.Errorf("%d of %d requests went to the wrong slot", n, sent.Load())
	}
}

func TestHoldKeepsItsLimitOverARestart(t *testing.T) {
	table := open(t, fastDir(t))
	e := entry("acme", plans.Blue)
	e.Hold = &plans.Hold{ID: "h", Limit: plans.Duration(200 * time.Millisecond)}
	began := time.Now()
	rev := set(t, table, e)
	table = reopen(t, table)
	if seen, _ := table.Observe("acme"); !seen["acme"].Held {
		t.Fatalf("after a restart: %+v, want it held", seen["acme"])
	}
	take(t, table, acme).Land()
	if took := time.Since(began); took < 200*time.Millisecond || took > 5*time.Second {
		t.Errorf("released after %s", took)
	}
	eventually(t, "expired on disk", func() bool {
		k, err := load(table.dir)
		return err == nil && k.tenants["acme"].Hold != nil && k.tenants["acme"].Hold.Expired
	})
	table = reopen(t, table)
	seen, _ := table.Observe("acme")
	now := seen["acme"].Revision
	if r := seen["acme"]; !r.Expired || r.Held || now <= rev {
		t.Errorf("after another restart: %+v, want the hold expired, after revision %d", r, rev)
	}
	e.Slot, e.Hold = plans.Green, nil
	var moved *Moved
	if _, _, err := table.Set(e, rev); !errors.As(err, &moved) || !moved.Expired {
		t.Errorf("a switch decided under the expired hold: %v", err)
	}
	if _, _, err := table.Set(e, now); err != nil {
		t.Errorf("a switch decided after it: %v", err)
	}
}

func TestFullQueueAndClientsThatLeave(t *testing.T) {
	table := open(t, fastDir(t))
	e := entry("acme", plans.Blue)
	e.Hold = &plans.Hold{ID: "h", Limit: plans.Duration(time.Minute), Queue: 1}
	set(t, table, e)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := table.Take(ctx, acme); gone <- err }()
	waiting := func(n int) func() bool {
		return func() bool { seen, _ := table.Observe("acme"); return seen["acme"].Waiting == n }
	}
	eventually(t, "one waits", waiting(1))
	if _, err := table.Take(t.Context(), acme); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the queue: %v", err)
	}
	marked := acme
	marked.Marked = true
	take(t, table, marked).Land()
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	eventually(t, "nobody waits", waiting(0))
}

func TestCutEndsOnlyThatSlot(t *testing.T) {
	table := open(t, fastDir(t))
	e := entry("acme", plans.Blue)
	set(t, table, e)
	old := take(t, table, acme)
	e.Slot = plans.Green
	set(t, table, e)
	young := take(t, table, acme)
	if n := table.Cut("acme", plans.Blue); n != 1 {
		t.Errorf("cut %d, want 1", n)
	}
	if !errors.Is(context.Cause(old.Context()), ErrCut) || young.Context().Err() != nil {
		t.Errorf("old: %v, young: %v", context.Cause(old.Context()), young.Context().Err())
	}
	if n := table.Cut("acme", plans.Blue); n != 0 {
		t.Errorf("cut %d again", n)
	}
	old.Land()
	seen, _ := table.Observe("acme")
	if u := seen["acme"].Slots; u[plans.Blue].Cut != 1 || u[plans.Blue].InFlight != 0 || u[plans.Green].InFlight != 1 {
		t.Errorf("%+v", u)
	}
}
