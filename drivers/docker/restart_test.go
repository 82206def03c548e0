package docker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// An engine that ends and comes back while no reconciler runs must run exactly
// the routed slots, each on its own ports, in its own network.
func TestEngineRestartsWithoutUs(t *testing.T) {
	for name, end := range map[string]func(*dockertest.Engine) error{
		"shutdown":   (*dockertest.Engine).Shutdown,
		"crash":      (*dockertest.Engine).Kill,
		"power loss": (*dockertest.Engine).PowerLoss,
	} {
		t.Run(name, func(t *testing.T) {
			e := ownEngine(t)
			state := t.TempDir()
			rt := open(t, e, state)
			var routed, idle []plans.Instance
			db := serve(t, "t1", plans.Shared, "db")
			db.Routed = true
			routed = append(routed, db)
			for i := range 2 {
				tenant := fmt.Sprintf("t%d", i)
				a, b := serve(t, tenant, plans.Blue, "app"), serve(t, tenant, plans.Green, "app")
				a.Routed = true
				routed, idle = append(routed, a), append(idle, b)
			}
			// t2 switched: what was routed when it was made is idle now.
			was, is := serve(t, "t2", plans.Blue, "app"), serve(t, "t2", plans.Green, "app")
			was.Routed = true
			start(t, rt, append(append([]plans.Instance{was, is}, routed...), idle...)...)
			must(t, rt.SetRouted(bound(t), "2", is.Key, true))
			must(t, rt.SetRouted(bound(t), "3", was.Key, false))
			routed, idle = append(routed, is), append(idle, was)

			must(t, end(e))
			if _, _, err := rt.Observe(bound(t)); observed.ClassOf(err) != observed.Environment {
				t.Errorf("observing an engine that is down: %v", err)
			}
			must(t, e.Restart(bound(t)))
			for _, want := range routed {
				answers(t, want.Ports["http"], want.Spec.Env["VERSION"])
			}
			rt = open(t, e, state)
			for _, want := range idle {
				i := see(t, rt, want.Key)
				if i.Phase != observed.Exited || i.Routed {
					t.Errorf("%s is %s, routed %v, want exited, false", want.Key, i.Phase, i.Routed)
				}
				if !closed(want.Ports["http"]) {
					t.Errorf("port %d of the idle %s answers", want.Ports["http"], want.Key)
				}
			}
			for _, want := range routed {
				if i := see(t, rt, want.Key); i.Phase != observed.Running || !i.Routed {
					t.Errorf("%s is %s, routed %v, want running, true", want.Key, i.Phase, i.Routed)
				}
				must(t, rt.Listens(bound(t), want.Key, want.Ports["http"]))
			}
			if app := routed[2]; app.Tenant == "t1" && !reaches(t, rt, app.Key, "db") {
				t.Error("app does not find db after the restart")
			}
		})
	}
}

func TestRestartWordsOfThePlan(t *testing.T) {
	e := sharedEngine(t)
	state := t.TempDir()
	rt, cli := open(t, e, state), bare(t, e)
	for restart, policy := range map[string]string{"": "always", "always": "always", "onFailure": "on-failure", "never": "no"} {
		want := serve(t, "acme", plans.Blue, "app-"+restart)
		want.Service = "app" + restart
		want.Spec.Restart = restart
		start(t, rt, want)
		for _, routed := range []bool{true, false, true} {
			must(t, rt.SetRouted(bound(t), "2", want.Key, routed))
			wanted := "no"
			if routed {
				wanted = policy
			}
			if got := string(inspect(t, cli, want.Key).HostConfig.RestartPolicy.Name); got != wanted {
				t.Errorf("restart %q, routed %v: the policy is %q, want %q", restart, routed, got, wanted)
			}
			if got := see(t, rt, want.Key).Routed; got != routed {
				t.Errorf("restart %q: seen as routed %v, want %v", restart, got, routed)
			}
			if got := see(t, open(t, e, state), want.Key).Routed; got != routed {
				t.Errorf("restart %q: a new process sees routed %v, want %v", restart, got, routed)
			}
		}
	}
}

func TestHalfMadeContainerIsFinished(t *testing.T) {
	e := sharedEngine(t)
	cli := bare(t, e)
	for name, at := range map[string]string{
		"before the copy of files": "/archive",
		"before the start":         "/start",
	} {
		t.Run(name, func(t *testing.T) {
			must(t, e.Reset(bound(t)))
			state := t.TempDir()
			want := serve(t, "acme", plans.Blue, "app")
			want.Spec.Files = map[string]plans.File{"/etc/app.toml": {Text: "key = 1\n"}}
			must(t, open(t, e, state).Pull(bound(t), want.Spec.Image, nil))
			crashed := dying(t, e, state, at)
			if err := crashed.Start(bound(t), "1", want); err == nil {
				t.Fatal("the start went through: nothing to prove")
			}
			rt := open(t, e, state)
			if i := see(t, rt, want.Key); i.Phase != observed.Starting {
				t.Fatalf("the half-made instance is %s", i.Phase)
			}
			start(t, rt, want)
			if _, content := copied(t, cli, inspect(t, cli, want.Key).ID, "/etc/app.toml"); content != "key = 1\n" {
				t.Errorf("the file holds %q", content)
			}
		})
	}
}

func TestSidecarIsReplacedAlone(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	app, side := serve(t, "acme", plans.Blue, "app"), serve(t, "acme", plans.Blue, "side")
	side.Spec.Sidecar, side.Generation = true, ""
	start(t, rt, app, side)
	before := see(t, rt, app.Key)
	next := side
	next.Digest, next.Spec.Image = "s1:next", bed(t).refs["serve2"]
	problem(t, rt.Start(bound(t), "1", next), observed.Conflict, "s1:next")
	must(t, rt.Stop(bound(t), "2", side.Key, time.Second))
	must(t, rt.Remove(bound(t), "3", side.Key))
	start(t, rt, next)
	after := see(t, rt, app.Key)
	if after.ID != before.ID || !after.Started.Equal(before.Started) || after.Restarts != 0 {
		t.Errorf("app was touched: %+v, was %+v", after, before)
	}
	if !reaches(t, rt, app.Key, "side") {
		t.Error("app does not find the new sidecar")
	}
}
