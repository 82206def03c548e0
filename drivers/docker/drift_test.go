package docker_test

import (
	"context"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// watch returns the tenants heard of, and the result of Watch when it returns.
func watch(t testing.TB, rt drivers.Runtime) (heard <-chan string, done <-chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	news, end := make(chan string, 1000), make(chan error, 1)
	go func() { end <- rt.Watch(ctx, func(tenant string) { news <- tenant }) }()
	t.Cleanup(cancel)
	return news, end, cancel
}

func hear(t *testing.T, heard <-chan string, tenant string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != tenant {
			t.Errorf("heard of %s, want %s", got, tenant)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("heard nothing")
	}
}

func drain(heard <-chan string) {
	for {
		select {
		case <-heard:
		case <-time.After(300 * time.Millisecond):
			return
		}
	}
}

// What a person does to a container is heard, and seen although containers are
// remembered while events are heard.
func TestWatchAndObserveSeeDrift(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	want := serve(t, "acme", plans.Blue, "app")
	heard, done, stop := watch(t, rt)
	start(t, rt, want)
	id := see(t, rt, want.Key).ID
	ctx := bound(t)
	for _, c := range []struct {
		name string
		do   func() error
		seen func(*observed.Instance) bool
	}{
		{"docker update", func() error {
			_, err := cli.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: "always"}})
			return err
		}, func(i *observed.Instance) bool { return i.Routed }},
		{"docker update back", func() error {
			_, err := cli.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: "no"}})
			return err
		}, func(i *observed.Instance) bool { return !i.Routed }},
		{"docker restart", func() error {
			_, err := cli.ContainerRestart(ctx, id, client.ContainerRestartOptions{})
			return err
		}, func(i *observed.Instance) bool { return i.Phase == observed.Running }},
		{"docker kill", func() error {
			_, err := cli.ContainerKill(ctx, id, client.ContainerKillOptions{})
			return err
		}, func(i *observed.Instance) bool { return i.Phase == observed.Exited && i.Exit == 137 && !i.Restarting }},
		{"docker rm -f", func() error {
			_, err := cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
			return err
		}, func(i *observed.Instance) bool { return i == nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			drain(heard)
			if _, _, err := rt.Observe(ctx, "acme"); err != nil { // what is remembered is from before
				t.Fatal(err)
			}
			must(t, c.do())
			hear(t, heard, "acme")
			until(t, func() string {
				all, _, err := rt.Observe(ctx, "acme")
				must(t, err)
				var i *observed.Instance
				if len(all) > 0 {
					i = &all[0]
				}
				if !c.seen(i) {
					return "not seen"
				}
				return ""
			})
		})
	}
	stop()
	if err := <-done; err != context.Canceled {
		t.Errorf("watch ended with %v, want its context's error", err)
	}
}

func TestWatchEndsWithTheEngine(t *testing.T) {
	e := ownEngine(t)
	rt := open(t, e, t.TempDir())
	_, done, _ := watch(t, rt)
	until(t, func() string {
		if _, _, err := rt.Observe(bound(t)); err != nil {
			return err.Error()
		}
		return ""
	})
	must(t, e.Kill())
	select {
	case err := <-done:
		problem(t, err, observed.Environment)
	case <-time.After(10 * time.Second):
		t.Fatal("the watch goes on without an engine")
	}
}

func TestRenamedContainerIsStillOurs(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	want := serve(t, "acme", plans.Blue, "app")
	start(t, rt, want)
	if _, err := cli.ContainerRename(bound(t), docker.Name(owner.Fleet, want.Key), client.ContainerRenameOptions{NewName: "somebody"}); err != nil {
		t.Fatal(err)
	}
	see(t, rt, want.Key)
	must(t, rt.Stop(bound(t), "2", want.Key, 0))
	if i := see(t, rt, want.Key); i.Phase != observed.Exited {
		t.Errorf("it is %s after a stop", i.Phase)
	}
	must(t, rt.Remove(bound(t), "3", want.Key))
	if all, _, err := rt.Observe(bound(t), "acme"); err != nil || len(all) > 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
}
