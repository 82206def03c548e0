package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestDiff: fields explain what a digest decides, and values stay unsaid.
func TestDiff(t *testing.T) {
	s := newStory(t)
	s.command("plan app=v1 worker=w1 side=s1 db=d1")
	s.run(time.Minute)
	next := tenant(t, strings.Fields("app=v2 api=a1 side=s1 db=d2 routes=acme.test,www.test"))
	app := next.Core.Services["app"]
	app.Env = map[string]string{"PASSWORD": "hunter2"}
	next.Core.Services["app"] = app
	in := reconcile.Input{Name: "acme", Want: next, Facts: &s.w.facts, Now: s.w.now, Env: &s.env}
	c := reconcile.Diff(in, s.rec)
	got := strings.Join(c.Lines(), "\n")
	want := `± acme ` + short(s.rec.Current.Generation) + " → " + short(next.Core.Generation()) + `
  + api api@a1
  ~ app app@v1 → app@v2 (env, image)
  ~ db db@d1 → db@d2 (image)
  - worker worker@w1
  ~ routes`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if strings.Contains(encode(t, c), "hunter2") {
		t.Error("a value is said")
	}
	in.Want = nil
	if c := reconcile.Diff(in, s.rec); c.Op != reconcile.Keep || len(c.Parts) != 0 {
		t.Errorf("a tenant the plan does not name changes: %v", c)
	}
	in.Want = &plans.Tenant{Name: "acme", Removed: true}
	if c := reconcile.Diff(in, s.rec); c.Op != reconcile.Delete || len(c.Parts) != 4 {
		t.Errorf("a tombstone: %v", c)
	}
	in.Want = next
	if c := reconcile.Diff(in, reconcile.Record{}); c.Op != reconcile.Add || !strings.HasPrefix(c.Lines()[0], "+ acme g1:") {
		t.Errorf("a first one: %v", c.Lines())
	}
}

func short(g string) string { return g[:11] }

// TestExplain reads every sentence once.
func TestExplain(t *testing.T) {
	s := newStory(t)
	tell := func(commands ...string) string {
		for _, c := range commands {
			s.command(c)
		}
		return strings.Join(reconcile.Explain(s.last, s.rec), "\n")
	}
	has := func(text string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(text, p) {
				t.Errorf("%q is not said in:\n%s", p, text)
			}
		}
	}
	s.command("permit it is not its turn")
	has(tell("plan app=v1", "run 1s"), "acme is waiting since", "Nothing of it serves.", "Next: moves when the rollout lets it.")
	has(tell("permit yes", "run 1m"), "acme is converged", "It is served by g1:", "in blue (attempt a1-", "No version is kept for the way back.")
	has(tell("fail a2/preflight/pull environment registry_is_down 2", "plan app=v2", "run 2s"),
		"Attempt a2-", "is at preflight", "The last problem (environment, 1 try): pull: registry is down; look at the host.")
	has(tell("run 18s"), "which has not passed its bake yet", "The way back is g1:", "it watches the new version serve.")
	has(tell("run 1m"), "kept until 2026-03-01")
	has(tell("image v3 late", "plan app=v3 bake=1m", "run 1m"), "acme is heldBack (failed)", "Held back since", "A question waits since", "  retry: try the same target again.")
	has(tell("file /x a", "plan app=v4 data=share", "run 1m", "plan app=v4 data=share idle=v5 active=blue", "run 1m"), "The named idle slot runs")
	has(tell("image s1 slow", "plan app=v4 data=share idle=v5 active=blue side=s1", "run 2s"), "(side) is at verify")
	has(tell("plan app=v4 data=share idle=v5 active=blue", "blind router", "step"), "acme is unknown")
}
