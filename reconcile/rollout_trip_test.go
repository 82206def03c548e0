package reconcile_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// trips plays a rollout of n tenants that all fail, each with a long last output,
// and returns what is told of its trip.
func trips(t *testing.T, n int, policy plans.BatchPolicy) (*wave, reconcile.Event) {
	t.Helper()
	w := newWave(t)
	w.policies["standard"] = policy
	for i := range n {
		p := w.add(fmt.Sprintf("t%02d", i+1), nil, "standard", "r1", true)
		for line := range 50 {
			p.log += fmt.Sprintf("%s line %d %s\n", p.want.Name, line, strings.Repeat("ö", 40))
		}
	}
	w.plan()
	w.bad["r2"] = true
	w.wants("r2", "")
	w.plan()
	w.run(10 * time.Minute)
	for _, e := range w.events {
		if e.Kind == reconcile.RolloutBreakerTripped {
			return w, e
		}
	}
	t.Fatal("it did not trip")
	return nil, reconcile.Event{}
}

// TestTripTells: the event of a trip says of each that failed why, by its last
// answer, and its last output, and what may be answered.
func TestTripTells(t *testing.T) {
	w, e := trips(t, 3, plans.BatchPolicy{Name: "standard", BatchPct: 100, MaxConsecutiveFailures: 2})
	var told []reconcile.Failure
	if err := json.Unmarshal([]byte(e.Fields["failures"]), &told); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || e.Fields["failed"] != "t01,t02" || e.Fields["more"] != "" {
		t.Fatalf("told %+v, %v", told, e.Fields)
	}
	for i, f := range told {
		if f.Tenant != fmt.Sprintf("t%02d", i+1) || f.Why != "it answered 500" || !f.Restored || !strings.Contains(f.Log, f.Tenant+" line 49") || strings.Contains(f.Log, "line 39 ") {
			t.Errorf("told %+v", f)
		}
		if lines := strings.Count(f.Log, "\n") + 1; lines != 10 {
			t.Errorf("%d lines of %s", lines, f.Tenant)
		}
	}
	if want := "abort,continue_anyway,retry,rollback_completed_batches"; e.Fields["answers"] != want {
		t.Errorf("answers %q, not %q", e.Fields["answers"], want)
	}
	for _, q := range w.events {
		if q.Kind == reconcile.RolloutQuestion && q.Fields["answers"] != e.Fields["answers"] {
			t.Errorf("the question may be answered %q", q.Fields["answers"])
		}
	}
	if !strings.Contains(e.Fields["log"], "t01 line 49") {
		t.Errorf("log %q", e.Fields["log"])
	}
	id := e.Fields["rollout"]
	if failed := w.runs.Failed(id); len(failed) != 2 || failed[0].Tenant != "t01" || strings.Count(failed[0].Log, "\n") != 19 {
		t.Errorf("failed %+v", failed)
	}
	w.answerAll(func([]string) string { return reconcile.ContinueAnyway })
	w.run(time.Second)
	if failed := w.runs.Failed(id); len(failed) != 0 {
		t.Errorf("accepted, and still %+v", failed)
	}
}

// TestTripOfItself: where the policy takes back by itself nobody is asked.
func TestTripOfItself(t *testing.T) {
	_, e := trips(t, 3, plans.BatchPolicy{Name: "standard", BatchPct: 100, MaxConsecutiveFailures: 2, OnTrip: plans.Rollback})
	if e.Fields["answers"] != "" {
		t.Errorf("it may be answered %q", e.Fields["answers"])
	}
}

// TestTripStaysSmall: of many that failed the first are told, and how many more
// there are; an output is its end, by whole characters.
func TestTripStaysSmall(t *testing.T) {
	w, e := trips(t, 90, plans.BatchPolicy{Name: "standard", BatchPct: 100, MaxConsecutiveFailures: 80})
	for _, p := range w.fleet {
		if n := len(w.members[e.Fields["rollout"]][p.want.Name].Log); n > 2<<10 {
			t.Fatalf("%d bytes of output of %s are kept", n, p.want.Name)
		}
	}
	var told []reconcile.Failure
	if err := json.Unmarshal([]byte(e.Fields["failures"]), &told); err != nil {
		t.Fatal(err)
	}
	if len(told) != 20 || e.Fields["more"] != "60" || strings.Count(e.Fields["failed"], ",") != 79 {
		t.Errorf("%d are told, and %s more, of %s", len(told), e.Fields["more"], e.Fields["failed"])
	}
	if n := len(e.Fields["failures"]); n > 40<<10 {
		t.Errorf("%d bytes of failures", n)
	}
	if !strings.Contains(e.Text, "failed: t01, t02, t03, t04, t05, t06, t07, t08 and 72 more;") {
		t.Errorf("told as %s", e.Text)
	}
	if log := told[0].Log; len(log) > 1<<10 || strings.ContainsRune(log, '\uFFFD') || !strings.HasPrefix(log, "t01 line ") {
		t.Errorf("the end of its output is %q", log)
	}
}
