package docker_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// reaches asks from one instance for another by name. A name the engine does
// not know is asked of name servers that may not answer here: no word within
// some seconds is a no.
func reaches(t *testing.T, rt drivers.Runtime, from plans.Key, name string) bool {
	t.Helper()
	return reachesWithin(t, rt, from, name, 5*time.Second)
}

func reachesWithin(t *testing.T, rt drivers.Runtime, from plans.Key, name string, limit time.Duration) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(bound(t), limit)
	defer cancel()
	exit, _, err := rt.Exec(ctx, from, []string{"/serve", "check", "http://" + name + ":8080/health"})
	if ctx.Err() == nil {
		must(t, err)
	}
	return err == nil && exit == 0
}

func networkNames(t *testing.T, cli *client.Client) []string {
	t.Helper()
	got, err := cli.NetworkList(bound(t), client.NetworkListOptions{Filters: make(client.Filters).Add("type", "custom")})
	must(t, err)
	var names []string
	for _, n := range got.Items {
		names = append(names, n.Name)
	}
	slices.Sort(names)
	return names
}

func TestNamesResolveWithinTheSlot(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	blue, cache := serve(t, "acme", plans.Blue, "app"), serve(t, "acme", plans.Blue, "cache")
	only := serve(t, "acme", plans.Green, "only")
	other := serve(t, "other", plans.Blue, "stranger")
	start(t, rt, blue, cache, only, other)
	if !reaches(t, rt, blue.Key, "cache") || !reaches(t, rt, cache.Key, "app") {
		t.Error("services of a slot do not find each other")
	}
	for _, name := range []string{"only", "stranger"} {
		if reachesWithin(t, rt, blue.Key, name, 1500*time.Millisecond) {
			t.Errorf("a service finds %s, which is not of its slot", name)
		}
	}
	for _, want := range []plans.Instance{blue, cache, only, other} {
		must(t, rt.Remove(bound(t), "2", want.Key))
	}
	if left := networkNames(t, cli); len(left) > 0 {
		t.Errorf("networks %q are left", left)
	}
}

func TestSharedServiceIsOnBothSlots(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	db := serve(t, "acme", plans.Shared, "db")
	blue, green := serve(t, "acme", plans.Blue, "app"), serve(t, "acme", plans.Green, "app")
	start(t, rt, blue, db, green)
	began := see(t, rt, db.Key).Started
	for _, from := range []plans.Instance{blue, green} {
		if !reaches(t, rt, from.Key, "db") {
			t.Errorf("%s does not find db", from.Key)
		}
	}
	must(t, rt.Remove(bound(t), "2", green.Key))
	if got := networkNames(t, cli); !slices.Equal(got, []string{"reconcile-test-acme-blue", "reconcile-test-acme-tenant"}) {
		t.Errorf("after green went there are networks %q", got)
	}
	if !reaches(t, rt, blue.Key, "db") {
		t.Error("blue lost db when green went")
	}
	start(t, open(t, e, t.TempDir()), green) // by a new process, which remembers nothing
	if !reaches(t, rt, green.Key, "db") {
		t.Error("green, made again, does not find db")
	}
	if now := see(t, rt, db.Key).Started; !now.Equal(began) {
		t.Errorf("db was restarted: %s, was %s", now, began)
	}
	must(t, rt.Remove(bound(t), "3", db.Key))
	start(t, rt, db)
	if !reaches(t, rt, blue.Key, "db") || !reaches(t, rt, green.Key, "db") {
		t.Error("db, made again, is not found in both slots")
	}
}

func TestStoppedInstanceWhoseNetworkWasPruned(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	db, app := serve(t, "acme", plans.Shared, "db"), serve(t, "acme", plans.Blue, "app")
	start(t, rt, db, app)
	for _, want := range []plans.Instance{db, app} {
		must(t, rt.Stop(bound(t), "2", want.Key, 0))
	}
	if _, err := cli.NetworkPrune(bound(t), client.NetworkPruneOptions{}); err != nil {
		t.Fatal(err)
	}
	if left := networkNames(t, cli); len(left) > 0 {
		t.Fatalf("the engine kept %q: nothing to prove", left)
	}
	id := see(t, rt, app.Key).ID
	start(t, rt, db, app)
	if now := see(t, rt, app.Key).ID; now != id {
		t.Error("the instance was made again")
	}
	if !reaches(t, rt, app.Key, "db") {
		t.Error("app does not find db after the networks were made again")
	}
}

func TestForeignNetwork(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	want := serve(t, "acme", plans.Blue, "app")
	must(t, rt.Pull(bound(t), want.Spec.Image, nil))
	name := docker.NetworkName(owner.Fleet, "acme", plans.Blue)
	if _, err := cli.NetworkCreate(bound(t), name, client.NetworkCreateOptions{Driver: "bridge"}); err != nil {
		t.Fatal(err)
	}
	problem(t, rt.Start(bound(t), "1", want), observed.Refused, name)
	must(t, rt.Remove(bound(t), "2", want.Key))
	must(t, rt.Prune(bound(t), nil, nil))
	if got := networkNames(t, cli); !slices.Equal(got, []string{name}) {
		t.Errorf("the foreign network is gone: %q", got)
	}
}

func TestPruneRemovesNetworksACrashLeft(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	app, db := serve(t, "acme", plans.Blue, "app"), serve(t, "acme", plans.Shared, "db")
	start(t, rt, app, db)
	if _, err := cli.ContainerRemove(bound(t), docker.Name(owner.Fleet, app.Key), client.ContainerRemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	must(t, rt.Prune(bound(t), []string{app.Spec.Image}, []string{"acme"}))
	if got := networkNames(t, cli); !slices.Equal(got, []string{"reconcile-test-acme-tenant"}) {
		t.Errorf("networks %q, want that of db alone", got)
	}
	answers(t, db.Ports["http"], db.Spec.Env["VERSION"])
}

func TestHostNetwork(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	want := serve(t, "acme", plans.Blue, "app")
	want.Spec.Network = "host"
	start(t, rt, want)
	must(t, rt.Listens(bound(t), want.Key, want.Ports["http"]))
	if got := see(t, rt, want.Key).Ports["http"]; got != want.Ports["http"] {
		t.Errorf("port %d, want %d", got, want.Ports["http"])
	}
	other := serve(t, "acme", plans.Green, "app")
	other.Spec.Network = "host"
	start(t, rt, other)
	problem(t, rt.Listens(bound(t), want.Key, other.Ports["http"]), observed.Conflict, "answered by serve")
}
