package docker_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// BenchmarkStart compares bringing up tenants of one service, image absent at
// first, with the same engine calls made bare in the same run: pull, network,
// create, start. It reports the ratio of the sums.
func BenchmarkStart(b *testing.B) {
	for _, tenants := range []int{1, 5, 20} {
		b.Run(strconv.Itoa(tenants), func(b *testing.B) {
			e := sharedEngine(b)
			cli := bare(b, e)
			var ours, theirs time.Duration
			for i := range b.N {
				for turn := range 2 { // who goes first changes
					must(b, e.Reset(b.Context()))
					if (i+turn)%2 == 0 {
						rt := open(b, e, b.TempDir())
						wants := make([]plans.Instance, tenants)
						for n := range wants {
							wants[n] = benchOrder(b, n)
						}
						began := time.Now()
						for _, want := range wants {
							must(b, rt.Pull(b.Context(), want.Spec.Image, nil))
							must(b, rt.Start(b.Context(), "1", want))
						}
						ours += time.Since(began)
					} else {
						theirs += bareStart(b, cli, tenants)
					}
				}
			}
			b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
			b.ReportMetric(float64(ours.Milliseconds())/float64(b.N*tenants), "ms/tenant")
			b.ReportMetric(float64(theirs.Milliseconds())/float64(b.N*tenants), "bare-ms/tenant")
		})
	}
}

func benchOrder(b *testing.B, n int) plans.Instance {
	return plans.Instance{
		Key: plans.Key{Tenant: fmt.Sprintf("t%d", n), Slot: plans.Blue, Service: "app"}, Digest: "s1:1", Generation: "g1:1",
		Ports: map[string]int{"http": freePort(b)},
		Spec:  plans.Service{Image: serveImage(b), Ports: map[string]int{"http": 8080}},
	}
}

func bareStart(b *testing.B, cli *client.Client, tenants int) time.Duration {
	ref, ctx := serveImage(b), b.Context()
	inside := network.MustParsePort("8080/tcp")
	ports := make([]string, tenants)
	for n := range ports {
		ports[n] = strconv.Itoa(freePort(b))
	}
	began := time.Now()
	pull, err := cli.ImagePull(ctx, ref, client.ImagePullOptions{})
	must(b, err)
	must(b, pull.Wait(ctx))
	for n := range tenants {
		name := fmt.Sprintf("bare-%d", n)
		_, err := cli.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge"})
		must(b, err)
		made, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{
			Name:   name,
			Config: &container.Config{Image: ref, ExposedPorts: network.PortSet{inside: {}}},
			HostConfig: &container.HostConfig{
				NetworkMode: container.NetworkMode(name), RestartPolicy: container.RestartPolicy{Name: "no"},
				PortBindings: network.PortMap{inside: {{HostPort: ports[n]}}},
			},
		})
		must(b, err)
		_, err = cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
		must(b, err)
	}
	return time.Since(began)
}
