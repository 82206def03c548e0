package outcomes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// policy is a BatchPolicy named careful.
func policy(spec string) string {
	return "apiVersion: reconcile/v1\nkind: BatchPolicy\nmetadata: {name: careful}\nspec: {" + spec + "}\n"
}

// A policy that does not hold refuses the commit, with its place and what to
// write, and nothing moves. One whose canary is nobody holds, and says who is.
func badPolicy(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}, spec: "  batchPolicy: careful\n", extra: map[string]string{"policy.yaml": policy("batchPct: 50")}})
	before := map[string]map[string]string{"ant": w.started("ant"), "bee": w.started("bee")}
	w.fleet.image = w.image("1.1")
	good := policy("batchPct: 50")
	for _, bad := range []struct {
		text string
		says []string
	}{
		{policy("batchPct: 0"), []string{"policy.yaml:4:", "batchPct must be a whole number from 1 to 100, not the number 0"}},
		{policy("batchPct: 101"), []string{"policy.yaml:4:", "batchPct must be a whole number from 1 to 100, not the number 101"}},
		{good + "---\n" + good, []string{"there are two BatchPolicys named careful", "give one of them another name"}},
	} {
		w.commit("an upgrade, and a policy that does not hold", map[string]string{"app.yaml": w.fleet.template(), "policy.yaml": bad.text})
		w.pass(1, append(bad.says, "is refused", "the accepted plan stays in force")...)
		for tenant, was := range before {
			w.same(tenant, was)
			w.answers(tenant, "1.0")
		}
	}
	w.commit("a canary that nobody is", map[string]string{"policy.yaml": policy("batchPct: 50, canary: {select: {ring: canry}}")})
	w.verb(2, []string{"no member is selected as canary: the first one is"}, "--dry-run")
	w.pass(0, "canary begins: ant", "batch 1 begins: bee")
	w.answers("ant", "1.1")
	w.answers("bee", "1.1")
}

// Only an answer to the very question counts: one to a question nobody asked and
// one to a question of before are told as notices, and nothing moves.
func badAnswer(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}, spec: "  batchPolicy: careful\n", extra: map[string]string{"policy.yaml": policy("batchSize: 1")}})
	bee := w.started("bee")
	w.fleet.within = "1s"
	w.fleet.image = w.made("1.1", images.Spec{Env: map[string]string{"FAIL": "exit"}})
	w.template("a broken version")
	w.pass(3)
	first := w.asked()

	other := "ro-000000.trip1-00000000"
	w.commit("an answer to nothing", map[string]string{"other.yaml": decision(other, reconcile.AbortRollout)})
	w.pass(3)
	w.notices(other, "which is not asked on this node, or not any more")
	if now := w.asked(); now != first {
		t.Errorf("asked is %s, and was %s", now, first)
	}

	w.fleet.image = w.made("1.2", images.Spec{Env: map[string]string{"FAIL": "exit"}})
	w.template("another broken version, which closes the question")
	w.pass(3)
	second := w.asked()
	if second == first {
		t.Fatalf("another rollout asks the same question: %s", second)
	}
	w.commit("an answer that comes late", map[string]string{"late.yaml": decision(first, reconcile.AbortRollout)})
	w.pass(3)
	w.notices(first, "which is not asked on this node, or not any more")
	if now := w.asked(); now != second {
		t.Errorf("asked is %s, and was %s", now, second)
	}
	w.same("bee", bee)
	w.answers("ant", "1.0")
	w.answers("bee", "1.0")
}

// asked is the question of the one rollout that waits.
func (w *world) asked() string {
	w.Helper()
	s := w.all()
	if len(s.Rollouts) != 1 || s.Rollouts[0].Question() == nil {
		w.Fatalf("no rollout asks: %+v", s.Rollouts)
	}
	return s.Rollouts[0].Question().ID
}

// notices wants status to say so of a decision, and nothing to have come of it.
func (w *world) notices(question, says string) {
	w.Helper()
	s := w.all()
	if !slices.ContainsFunc(s.Notices, func(n string) bool { return strings.Contains(n, question) && strings.Contains(n, says) }) {
		w.Errorf("no notice of the answer to %s: %s", question, fmt.Sprint(s.Notices))
	}
}
