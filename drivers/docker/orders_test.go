package docker_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// serve is an order for one instance that answers on a port of its own.
func serve(t testing.TB, tenant string, slot plans.Slot, service string) plans.Instance {
	t.Helper()
	return plans.Instance{
		Key:    plans.Key{Tenant: tenant, Slot: slot, Service: service},
		Digest: "s1:" + service, Generation: "g1:1", Attempt: "a1", Commit: "c0ffee",
		Ports: map[string]int{"http": freePort(t)},
		Spec: plans.Service{
			Image: serveImage(t), Ports: map[string]int{"http": 8080},
			Env: map[string]string{"VERSION": tenant + "-" + string(slot) + "-" + service},
		},
	}
}

// start pulls and starts the orders in turn and waits until each that has a
// port answers.
func start(t testing.TB, rt drivers.Runtime, wants ...plans.Instance) {
	t.Helper()
	for _, want := range wants {
		must(t, rt.Pull(bound(t), want.Spec.Image, nil))
		must(t, rt.Start(bound(t), "1", want))
		if port := want.Ports["http"]; port != 0 {
			answers(t, port, want.Spec.Env["VERSION"])
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// problem wants err to be a Problem of the class whose text holds all words,
// with something a person can do.
func problem(t testing.TB, err error, class observed.Class, words ...string) *observed.Problem {
	t.Helper()
	p, ok := err.(*observed.Problem)
	if !ok || p.Class != class {
		t.Fatalf("error %v is of class %s, want %s", err, observed.ClassOf(err), class)
	}
	for _, w := range words {
		if !strings.Contains(p.Error(), w) {
			t.Errorf("error %q does not say %q", p.Error(), w)
		}
	}
	if p.Hint == "" && class != observed.Conflict {
		t.Errorf("error %q has no hint", p.Error())
	}
	return p
}

// until polls until look returns "".
func until(t testing.TB, look func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		last := look()
		if last == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still: %s", last)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func answers(t testing.TB, port int, version string) {
	t.Helper()
	until(t, func() string {
		body, err := get(port)
		if err != nil || body != version {
			return fmt.Sprintf("port %d answers %q, %v, want %q", port, body, err, version)
		}
		return ""
	})
}

func get(port int) (string, error) {
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get(fmt.Sprintf("http://127.0.0.1:%d/health", port))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return strings.TrimSpace(string(b)), err
}

func closed(port int) bool {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err == nil {
		c.Close()
	}
	return err != nil
}

// see returns the instance as it is observed; it must be there.
func see(t testing.TB, rt drivers.Runtime, key plans.Key) observed.Instance {
	t.Helper()
	all, _, err := rt.Observe(bound(t), key.Tenant)
	must(t, err)
	for _, i := range all {
		if i.Key == key {
			return i
		}
	}
	t.Fatalf("%s is not there", key)
	return observed.Instance{}
}

func inspect(t testing.TB, cli *client.Client, key plans.Key) container.InspectResponse {
	t.Helper()
	got, err := cli.ContainerInspect(bound(t), docker.Name(owner.Fleet, key), client.ContainerInspectOptions{})
	must(t, err)
	return got.Container
}

// freePort returns a port of loopback that nobody has.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
