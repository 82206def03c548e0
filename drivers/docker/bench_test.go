package docker_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// BenchmarkStart compares bringing up tenants of one service with the same
// engine calls made bare: pull, network, create, start. Both take turns tenant
// by tenant on one engine, so that whatever else the machine does meets both;
// the ratio is that of the sums.
func BenchmarkStart(b *testing.B) {
	for _, tenants := range []int{1, 5, 20} {
		b.Run(strconv.Itoa(tenants), func(b *testing.B) {
			e := sharedEngine(b)
			cli := bare(b, e)
			serveImage(b) // built before anything is timed
			var ours, theirs time.Duration
			for range b.N {
				must(b, e.Reset(b.Context()))
				rt := open(b, e, b.TempDir())
				theirs += taken(func() { barePull(b, cli) })
				must(b, e.Reset(b.Context()))
				ours += taken(func() { must(b, rt.Pull(b.Context(), serveImage(b), nil)) })
				for n := range tenants {
					want, port := benchOrder(b, n), freePort(b)
					turns := []func(){
						func() { ours += taken(func() { must(b, rt.Start(b.Context(), "1", want)) }) },
						func() { theirs += taken(func() { bareStart(b, cli, n, port) }) },
					}
					turns[n%2]()
					turns[1-n%2]()
				}
			}
			b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
			b.ReportMetric(ours.Seconds()*1000/float64(b.N*tenants), "ms/tenant")
			b.ReportMetric(theirs.Seconds()*1000/float64(b.N*tenants), "bare-ms/tenant")
		})
	}
}

func taken(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func benchOrder(b *testing.B, n int) plans.Instance {
	return plans.Instance{
		Key: plans.Key{Tenant: fmt.Sprintf("t%d", n), Slot: plans.Blue, Service: "app"}, Digest: "s1:1", Generation: "g1:1",
		Ports: map[string]int{"http": freePort(b)},
		Spec:  plans.Service{Image: serveImage(b), Ports: map[string]int{"http": 8080}},
	}
}

func barePull(b *testing.B, cli *client.Client) {
	pull, err := cli.ImagePull(b.Context(), serveImage(b), client.ImagePullOptions{})
	must(b, err)
	must(b, pull.Wait(b.Context()))
}

func bareStart(b *testing.B, cli *client.Client, n, port int) {
	ctx, inside, name := b.Context(), network.MustParsePort("8080/tcp"), fmt.Sprintf("bare-%d", n)
	_, err := cli.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge"})
	must(b, err)
	made, err := cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:   name,
		Config: &container.Config{Image: serveImage(b), ExposedPorts: network.PortSet{inside: {}}},
		HostConfig: &container.HostConfig{
			NetworkMode:  container.NetworkMode(name),
			PortBindings: network.PortMap{inside: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(port)}}},
		},
	})
	must(b, err)
	_, err = cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
	must(b, err)
}
