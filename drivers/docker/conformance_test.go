package docker_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/plans"
)

func TestConformance(t *testing.T) {
	b := bed(t)
	e := sharedEngine(t)
	cli := bare(t, e)
	state := map[*testing.T]string{}
	drivertest.RunRuntime(t, drivertest.Runtime{
		Image: func(_ *testing.T, kind drivertest.Image) string { return b.refs[kind] },
		New: func(t *testing.T) drivers.Runtime {
			sharedEngine(t)
			state[t] = t.TempDir()
			return open(t, e, state[t])
		},
		Reopen: func(t *testing.T) drivers.Runtime { return open(t, e, state[t]) },
		Foreign: func(t *testing.T, key plans.Key) func() error {
			ref := b.refs[drivertest.Serve]
			if err := open(t, e, t.TempDir()).Pull(bound(t), ref, nil); err != nil {
				t.Fatal(err)
			}
			id := runBare(t, cli, docker.Name(owner.Fleet, key), ref)
			return func() error {
				c, err := cli.ContainerInspect(bound(t), id, client.ContainerInspectOptions{})
				if err != nil || c.Container.State.Running && c.Container.RestartCount == 0 {
					return err
				}
				return fmt.Errorf("the foreign container is %s", c.Container.State.Status)
			}
		},
		Crash: func(t *testing.T, key plans.Key) {
			c, err := cli.ContainerInspect(bound(t), docker.Name(owner.Fleet, key), client.ContainerInspectOptions{})
			if err == nil {
				err = syscall.Kill(c.Container.State.Pid, syscall.SIGKILL)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		Reboot: func(t *testing.T) drivers.Runtime {
			if err := e.PowerLoss(); err != nil {
				t.Fatal(err)
			}
			if err := e.Restart(bound(t)); err != nil {
				t.Fatal(err)
			}
			return open(t, e, state[t])
		},
	})
}

// runBare runs a container as somebody else would.
func runBare(t testing.TB, cli *client.Client, name, ref string) string {
	t.Helper()
	made, err := cli.ContainerCreate(bound(t), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: ref}, HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err == nil {
		_, err = cli.ContainerStart(bound(t), made.ID, client.ContainerStartOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}
