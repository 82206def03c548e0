package agent

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// batchRows are the batches of a view, a line each: "canary passed t00=upgraded".
func batchRows(v RolloutView) string {
	var out []string
	for _, b := range v.Batches {
		line := b.Name + " " + b.State
		for _, m := range b.Members {
			line += " " + m.Tenant + "=" + m.Class
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// TestRolloutView: while it is stopped, and what an answer on this host does.
func TestRolloutView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := broken(t)
		c, ctx := w.daemon(t), t.Context()
		list, err := c.Rollouts(ctx)
		if err != nil || len(list) == 0 || list[0].Batches != nil {
			t.Fatalf("list %+v, %v", list, err)
		}
		v, err := c.Rollout(ctx, list[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		want := "canary open t00=failed t01=failed\nbatch 1 later t02=pending t03=pending\nbatch 2 later t04=pending t05=pending\n" +
			"batch 3 later t06=pending t07=pending\nbatch 4 later t08=pending t09=pending"
		if got := batchRows(v); got != want {
			t.Errorf("rows\n%s\nwant\n%s", got, want)
		}
		if v.Phase != reconcile.RolloutWaiting || v.Gate.For != reconcile.GateQuestion || v.Question == nil || v.Done != 2 || v.Left != 8 {
			t.Errorf("view %+v", v)
		}
		if m := v.Batches[0].Members[0]; m.State != reconcile.HeldBack || m.Doing == "" || m.Why == "" || !m.Restored {
			t.Errorf("member %+v", m)
		}
		for name, bad := range map[string]LocalDecision{
			"open are " + v.Question.ID: {Question: "ro-0.trip1-0", Answer: reconcile.AbortRollout},
			"cannot be answered with":   {Question: v.Question.ID, Answer: "maybe"},
		} {
			if err := c.Answer(ctx, bad); observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), name) {
				t.Errorf("answer %+v: %v", bad, err)
			}
		}
		if err := c.Answer(ctx, LocalDecision{Question: v.Question.ID, Answer: reconcile.AbortRollout, Reason: "5xx", By: "ann"}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Pass(ctx, nil); err != nil {
			t.Fatal(err)
		}
		v, err = c.Rollout(ctx, v.ID)
		if err != nil || v.Phase != reconcile.RolloutAborted || len(v.Local) != 1 || !v.Local[0].Heard || v.Local[0].By != "ann" {
			t.Errorf("after the answer %+v, %v", v, err)
		}
		if s, err := c.Status(ctx); err != nil || len(s.Local) != 1 || s.Local[0].Rollout != v.ID {
			t.Errorf("status shows %+v, %v", s.Local, err)
		}
		if _, err := c.Rollout(ctx, "ro-nobody"); observed.ClassOf(err) != observed.Refused {
			t.Errorf("unknown rollout: %v", err)
		}
	})
}

// TestRolloutIsTakenBack on this host's word after it was completed.
func TestRolloutIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, batched("c1", 5, "app1"))
		w.pass()
		w.plan = batched("c2", 5, "app2")
		w.agent.SetPlan(w.plan)
		w.pass()
		w.want(reconcile.Converged)
		id := w.agent.Rollouts()[0].ID
		if err := w.agent.RollbackRollout("ro-nobody", "", ""); observed.ClassOf(err) != observed.Refused {
			t.Errorf("rollback of nothing: %v", err)
		}
		if err := w.agent.RollbackRollout(id, "5xx on login", "ann"); err != nil {
			t.Fatal(err)
		}
		// The word is in the journal: a process that dies now loses nothing.
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		v, err := w.agent.Rollout(id)
		if err != nil || v.Phase != reconcile.RolloutRolledBack || v.Summary.RolledBack != 5 || v.Ended.IsZero() {
			t.Errorf("%+v, %v\n%s", v.Rollout, err, w.text())
		}
		for _, s := range w.agent.Status().Tenants {
			if s.State != reconcile.HeldBack || s.Reason != reconcile.RolledBack || !s.Services[0].Healthy {
				t.Errorf("%s is %s %s: %s", s.Name, s.State, s.Reason, s.Why)
			}
		}
		if err := w.agent.RollbackRollout(id, "", ""); err == nil || !strings.Contains(err.Error(), "taken back already") {
			t.Errorf("again: %v", err)
		}
		writes := fmt.Sprint(w.host.Writes())
		w.pass()
		if after := fmt.Sprint(w.host.Writes()); after != writes {
			t.Errorf("a second pass writes: %s, then %s", writes, after)
		}
	})
}

// TestNoLocalWord: a host that takes orders from git alone.
func TestNoLocalWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, batched("c1", 2, "app1"), func(c *Config) { c.AllowLocal = false })
		w.pass()
		for name, err := range map[string]error{
			"answer":           w.agent.Answer(LocalDecision{Question: "q", Answer: "a"}),
			"rollback rollout": w.agent.RollbackRollout(w.agent.Rollouts()[0].ID, "", ""),
			"rollback":         w.agent.Rollback("t00"),
			"retry":            w.agent.Retry("t00"),
		} {
			if observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), "git alone") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
