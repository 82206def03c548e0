package drivertest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Image is a kind of test image a harness provides by digest.
type Image string

// The images. All exit soon on SIGTERM.
const (
	// Serve serves HTTP on $PORT: /health answers 200 with the value of
	// $VERSION as its body. Where the runtime can run image healthchecks, it
	// has one that becomes healthy within some seconds.
	Serve Image = "serve"
	// Serve2 is the same program under another digest.
	Serve2 Image = "serve2"
	// Exit0 prints "done" and exits 0; Exit3 prints "broken" and exits 3; both
	// take less than a second.
	Exit0 Image = "exit0"
	Exit3 Image = "exit3"
	// Missing is not in the registry; OtherPlatform is there, for another
	// platform only; Unreachable is in a registry that does not answer.
	Missing       Image = "missing"
	OtherPlatform Image = "otherPlatform"
	Unreachable   Image = "unreachable"
)

// ServePort is the port Serve listens on in an instance with its own network.
const ServePort = 8080

// Runtime is the harness of a runtime driver.
type Runtime struct {
	Clock
	// New returns a runtime on a fresh host, which ends with t. Required.
	New func(t *testing.T) drivers.Runtime
	// Image returns the reference (repository@digest) of a test image, or ""
	// where there is none: what needs it is skipped. Required.
	Image func(t *testing.T, kind Image) string
	// Reopen returns a runtime on the host of the last New of t, as a new
	// process of ours would; the earlier one is not used again.
	Reopen func(t *testing.T) drivers.Runtime
	// Foreign makes a running object of somebody else that has the name we
	// would use for key, and returns a check that it is untouched.
	Foreign func(t *testing.T, key plans.Key) (untouched func() error)
	// Crash ends the process of an instance from outside with SIGKILL, without
	// the engine's help.
	Crash func(t *testing.T, key plans.Key)
	// Reboot restarts the host of the last New of t and returns a runtime on it.
	Reboot func(t *testing.T) drivers.Runtime
	// Get asks an instance's host port; nil is an HTTP GET on 127.0.0.1.
	Get func(t *testing.T, port int, path string) (status int, body string, err error)
	// Port returns a free host port; nil is FreePort.
	Port func(t *testing.T) int
	// Edit changes an order before the suite uses it, where a runtime needs
	// more said (nil: nothing).
	Edit func(t *testing.T, want *plans.Instance)
}

// RunRuntime runs the suite.
func RunRuntime(t *testing.T, h Runtime) { run(t, RuntimeCases(h)) }

// RuntimeCases are the cases of the suite.
func RuntimeCases(h Runtime) []Case {
	if h.Get == nil {
		h.Get = get
	}
	if h.Port == nil {
		h.Port = FreePort
	}
	return suite(h, []named[Runtime]{
		{"Start", Runtime.start},
		{"StartTwice", Runtime.startTwice},
		{"StartConflicts", Runtime.startConflicts},
		{"StartWithoutImage", Runtime.startWithoutImage},
		{"StopAndStartAgain", Runtime.stopAndStart},
		{"Remove", Runtime.remove},
		{"AbsentIsNoOp", Runtime.absent},
		{"JobRunsOncePerAttempt", Runtime.jobOnce},
		{"JobExitStatus", Runtime.jobExit},
		{"ObserveFilter", Runtime.observeFilter},
		{"SetRouted", Runtime.setRouted},
		{"RestartsOnlyRouted", Runtime.restarts},
		{"Reopen", Runtime.reopen},
		{"Reboot", Runtime.reboot},
		{"Foreign", Runtime.foreign},
		{"Pull", Runtime.pull},
		{"PullMissing", pullRefused(Missing, observed.Refused)},
		{"PullOtherPlatform", pullRefused(OtherPlatform, observed.Refused)},
		{"PullUnreachable", pullRefused(Unreachable, observed.Environment)},
		{"Listens", Runtime.listens},
		{"Exec", Runtime.exec},
		{"ImageHealth", Runtime.imageHealth},
		{"Logs", Runtime.logs},
		{"Watch", Runtime.watch},
		{"Prune", Runtime.prune},
	})
}

// image returns the reference of a test image, or skips the test by name.
func (h Runtime) image(t *testing.T, kind Image) string {
	t.Helper()
	ref := h.Image(t, kind)
	if ref == "" {
		t.Skipf("no image %s", kind)
	}
	return ref
}

// serve is an order for an instance of Serve that answers with version. The
// image is present afterwards.
func (h Runtime) serve(t *testing.T, rt drivers.Runtime, key plans.Key, version string) plans.Instance {
	t.Helper()
	ref := h.image(t, Serve)
	port := h.Port(t)
	inside := port
	if rt.Traits().OwnNetwork {
		inside = ServePort
	}
	want := plans.Instance{
		Key: key, Digest: "s1:" + version, Generation: "g1:" + version, Attempt: "a1", Commit: "c0ffee",
		Ports: map[string]int{"http": port},
		Spec: plans.Service{
			Image:       ref,
			Env:         map[string]string{"VERSION": version, "PORT": strconv.Itoa(inside)},
			Ports:       map[string]int{"http": inside},
			StopTimeout: 5 * plans.Second,
		},
	}
	if !rt.Traits().OwnNetwork {
		want.Spec.Network = "host"
	}
	if h.Edit != nil {
		h.Edit(t, &want)
	}
	ok(t, rt.Pull(bound(t), ref, nil))
	return want
}

// job is an order for a job of the given image, which is present afterwards.
func (h Runtime) job(t *testing.T, rt drivers.Runtime, key plans.Key, kind Image, attempt string) plans.Instance {
	t.Helper()
	ref := h.image(t, kind)
	want := plans.Instance{
		Key: key, Digest: "s1:" + string(kind), Generation: "g1:1", Attempt: attempt,
		Spec: plans.Service{Image: ref, Job: &plans.Job{At: plans.BeforeSwitch}},
	}
	if !rt.Traits().OwnNetwork {
		want.Spec.Network = "host"
	}
	if h.Edit != nil {
		h.Edit(t, &want)
	}
	ok(t, rt.Pull(bound(t), ref, nil))
	return want
}

// see returns the instance as it is observed, or nil.
func (h Runtime) see(t *testing.T, rt drivers.Runtime, key plans.Key) *observed.Instance {
	t.Helper()
	all, _, err := rt.Observe(bound(t), key.Tenant)
	ok(t, err)
	for i := range all {
		if all[i].Key == key {
			return &all[i]
		}
	}
	return nil
}

// phase waits until the instance is in the phase, and returns it.
func (h Runtime) phase(t *testing.T, rt drivers.Runtime, key plans.Key, phase observed.Phase) observed.Instance {
	t.Helper()
	var seen observed.Instance
	h.until(t, func() string {
		i := h.see(t, rt, key)
		if i == nil {
			return key.String() + " is not there"
		}
		if seen = *i; i.Phase != phase {
			return fmt.Sprintf("%s is %s, want %s", key, i.Phase, phase)
		}
		return ""
	})
	return seen
}

// answers waits until the port answers /health with version.
func (h Runtime) answers(t *testing.T, port int, version string) {
	t.Helper()
	h.until(t, func() string {
		status, body, err := h.Get(t, port, "/health")
		if err != nil {
			return err.Error()
		}
		if status != 200 || strings.TrimSpace(body) != version {
			return fmt.Sprintf("port %d: %d %q, want 200 %q", port, status, body, version)
		}
		return ""
	})
}

func get(t *testing.T, port int, path string) (int, string, error) {
	client := http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, string(body), err
}

// key names a service of the suite's tenant.
func key(slot plans.Slot, service string) plans.Key {
	return plans.Key{Tenant: "suite", Slot: slot, Service: service}
}
