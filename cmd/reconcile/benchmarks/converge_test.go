package benchmarks

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// The probe of the convergence benchmark: two good answers, a second apart. A plan
// that says nothing waits for three, two seconds apart, which would hide more of
// what reconcile itself costs.
const (
	probeEvery = time.Second
	probeTimes = 2
)

// BenchmarkConverge takes a host from nothing to n healthy, routed tenants on
// Docker with one pass of the real binary: read the commit, pull, and one
// tenant after the other as one template's tenants go. The floor is the same
// engine calls made bare, in the same order, and the same number of answers of
// each tenant.
func BenchmarkConverge(b *testing.B) {
	e := shop.Engine(b)
	for _, n := range []int{1, 5, 20} {
		b.Run(fmt.Sprint("tenants=", n), func(b *testing.B) {
			c := newCourse(b, e, n)
			var r ratios
			for b.Loop() {
				turns := []func() float64{c.bare, c.ours}
				var took [2]float64
				for i := range turns {
					which := (i + len(r.ours)) % 2 // who is first takes turns
					took[which] = turns[which]()
				}
				r.add(took[1], took[0])
			}
			r.report(b, "x-bare", "ms")
		})
	}
}

// course is one engine on which tenants come up again and again.
type course struct {
	b      *testing.B
	engine *dockertest.Engine
	cli    *client.Client
	reg    *images.Registry
	image  string
	n      int
	stages int
}

func newCourse(b *testing.B, e *dockertest.Engine, n int) *course {
	c := &course{b: b, engine: e, n: n}
	c.cli = must[*client.Client](b)(e.Client())
	b.Cleanup(func() { c.cli.Close() })
	c.reg = must[*images.Registry](b)(images.NewRegistry("127.0.0.1:0"))
	b.Cleanup(func() { c.reg.Close() })
	serve := shop.Serve(b)
	c.image = must[string](b)(c.reg.Push(b.Context(), "hello", "1.0", images.Spec{Binary: serve, Env: map[string]string{"VERSION": "1.0"}}))
	shop.Bin(b)
	return c
}

func (c *course) reset() {
	c.b.Helper()
	if err := c.engine.Reset(c.b.Context()); err != nil {
		c.b.Fatal(err)
	}
}

// ours is the time of one pass, in ms, on a host that has a state directory and
// a proxy that runs, and nothing else.
func (c *course) ours() float64 {
	b, ctx := c.b, c.b.Context()
	c.reset()
	c.stages++
	s := must[*stage.Stage](b)(stage.New(ctx, stage.Config{
		Dir: filepath.Join(shop.Dir(), fmt.Sprint("c", c.n, "-", c.stages)), Bin: shop.Bin(b),
		Runtime: "docker", DockerHost: c.engine.Host, Registry: c.reg, Node: fmt.Sprint("bench-", os.Getpid()),
	}))
	defer os.RemoveAll(s.Dir)
	defer s.StopProxy(context.WithoutCancel(ctx))
	c.commit(s, map[string]string{"app.yaml": c.template()})
	c.pass(s)
	files := map[string]string{}
	for i := range c.n {
		files[fmt.Sprintf("t%02d.yaml", i)] = fmt.Sprintf("apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: t%02d}\nspec: {template: app}\n", i)
	}
	c.commit(s, files)
	r := c.pass(s)
	c.served(s)
	return ms(r.Took)
}

func (c *course) commit(s *stage.Stage, files map[string]string) {
	c.b.Helper()
	if _, err := s.Commit(c.b.Context(), "the fleet", files); err != nil {
		c.b.Fatal(err)
	}
}

func (c *course) pass(s *stage.Stage) stage.Result {
	c.b.Helper()
	r, err := s.Run(c.b.Context())
	if err != nil || r.Exit != 0 {
		c.b.Fatalf("%v: status %d\n%s%s", err, r.Exit, r.Stdout, r.Stderr)
	}
	return r
}

// served wants every tenant to be answered through the proxy: a pass that did
// nothing would be fast.
func (c *course) served(s *stage.Stage) {
	c.b.Helper()
	for i := range c.n {
		name := fmt.Sprintf("t%02d", i)
		got, err := s.Ask(c.b.Context(), name+".example.com", "/")
		if err != nil || !strings.Contains(got, "tenant="+name+" ") {
			c.b.Fatalf("%s: %q, %v", name, got, err)
		}
	}
}

func (c *course) template() string {
	return fmt.Sprintf(`apiVersion: reconcile/v1
kind: Fleet
metadata: {name: bench}
---
apiVersion: reconcile/v1
kind: Template
metadata: {name: app}
spec:
  services:
    app:
      image: %s
      port: 8080
      env: {TENANT: "{{tenant}}"}
      health: {http: {path: /health}, interval: %s, successes: %d, within: 60s}
  routes:
    web: {service: app, hosts: ["{{tenant}}.example.com"]}
  bake: 0s
  soak: {for: 0s}
`, c.image, probeEvery, probeTimes)
}

// bare is the time of the same engine calls alone, in ms.
func (c *course) bare() float64 {
	b, ctx := c.b, c.b.Context()
	c.reset()
	began := time.Now()
	name, digest, _ := strings.Cut(c.image, "@")
	image := name[:strings.LastIndexByte(name, ':')] + "@" + digest
	pull, err := c.cli.ImagePull(ctx, image, client.ImagePullOptions{})
	if err != nil {
		b.Fatal(err)
	}
	if err := pull.Wait(ctx); err != nil {
		b.Fatal(err)
	}
	for i := range c.n {
		c.bareTenant(image, fmt.Sprintf("bare-%02d", i), 30000+i)
	}
	return ms(time.Since(began))
}

func (c *course) bareTenant(image, name string, port int) {
	b, ctx, inside := c.b, c.b.Context(), network.MustParsePort("8080/tcp")
	if _, err := c.cli.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge"}); err != nil {
		b.Fatal(err)
	}
	made, err := c.cli.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:   name,
		Config: &container.Config{Image: image, Env: []string{"TENANT=" + name, "PORT=8080"}, ExposedPorts: network.PortSet{inside: {}}},
		HostConfig: &container.HostConfig{
			NetworkMode:  container.NetworkMode(name),
			PortBindings: network.PortMap{inside: {{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(port)}}},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := c.cli.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		b.Fatal(err)
	}
	c.healthy(port)
}

// healthy asks as the plan's probe does: on a fresh connection each time, with
// the pause after each answer, and a short one while there is none.
func (c *course) healthy(port int) {
	ask := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	url := fmt.Sprintf("http://127.0.0.1:%d/health", port)
	for good, deadline := 0, time.Now().Add(time.Minute); ; {
		pause := 100 * time.Millisecond
		res, err := ask.Get(url)
		if err == nil {
			res.Body.Close()
		}
		if err == nil && res.StatusCode == http.StatusOK {
			good, pause = good+1, probeEvery
		} else {
			good = 0
		}
		if good == probeTimes {
			return
		}
		if time.Now().After(deadline) {
			c.b.Fatalf("not healthy: %v", err)
		}
		timer := time.NewTimer(pause)
		<-timer.C
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
