package agent

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// full is a store whose disk may be full.
type full struct {
	journal.Store
	full *atomic.Bool
}

func (f full) Commit(tx journal.Tx) error {
	if f.full.Load() {
		return &syscallError{syscall.ENOSPC}
	}
	return f.Store.Commit(tx)
}

type syscallError struct{ err error }

func (e *syscallError) Error() string { return "write journal.db: " + e.err.Error() }
func (e *syscallError) Unwrap() error { return e.err }

// TestJournalFull: while the journal cannot be written nothing is acted on, the
// agent answers and says so, and when it can be written again it goes on.
func TestJournalFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(atomic.Bool)
		w := newWorld(t, fleet("c1", 2, "app1"), func(c *Config) { c.Store = full{c.Store, disk} })
		c := w.daemon(t)
		time.Sleep(5 * time.Minute)
		w.want(reconcile.Converged)
		disk.Store(true)
		before := w.host.Writes()
		w.agent.SetPlan(fleet("c2", 2, "app2"))
		w.host.RemoveByHand(plans.Key{Tenant: "t01", Slot: plans.Blue, Service: "app"})
		since := time.Now()
		time.Sleep(10 * time.Minute)
		if after := w.host.Writes(); !reflect.DeepEqual(before, after) {
			t.Errorf("acted on what was not written down: %v, then %v", before, after)
		}
		s, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p := s.Journal.Problem; p == nil || !strings.Contains(p.Error(), "no space left") || s.Journal.Since.Sub(since) > time.Minute {
			t.Errorf("status says of the journal: %+v", s.Journal)
		}
		for _, ts := range s.Tenants {
			if ts.Generation == "" || ts.State == reconcile.Unknown {
				t.Errorf("%s is not shown as it last was: %+v", ts.Name, ts)
			}
		}
		if err := w.agent.Healthy(); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("healthz says %v", err)
		}
		if got := get(t, c, "/metrics"); !strings.Contains(got, "reconcile_journal_problem 1") {
			t.Error("the metrics do not tell")
		}
		disk.Store(false)
		time.Sleep(5 * time.Minute)
		w.want(reconcile.Converged)
		if err := w.agent.Healthy(); err != nil {
			t.Errorf("healthz still says %v", err)
		}
		for _, ts := range w.agent.Status().Tenants {
			if ts.ActiveSlot != plans.Green {
				t.Errorf("%s was not upgraded: %+v", ts.Name, ts)
			}
		}
	})
}

// A pass of its own says why it ended.
func TestPassWithAFullJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(atomic.Bool)
		w := newWorld(t, fleet("c1", 1, "app1"), func(c *Config) { c.Store = full{c.Store, disk} })
		disk.Store(true)
		if _, err := w.agent.Pass(context.Background()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("pass: %v", err)
		}
		if len(w.done) > 0 {
			t.Errorf("acted: %v", w.done)
		}
	})
}
