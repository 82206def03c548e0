package drivertest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Router is the harness of a router driver.
type Router struct {
	Clock
	// New returns a router before a fresh data plane, which ends with t. Required.
	New func(t *testing.T) drivers.Router
	// Send begins a request through the data plane of the last New of t.
	// Required; HTTPSend makes one for a data plane on a real port.
	Send func(t *testing.T, method, host, path string) Call
	// Reopen returns a router before the data plane of the last New of t, as a
	// new process of ours would.
	Reopen func(t *testing.T) drivers.Router
	// Restart kills the data plane of the last New of t and starts it again.
	Restart func(t *testing.T)
	// Backend makes an upstream; nil is an HTTP server on a loopback port.
	Backend func(t *testing.T, name string) Backend
}

// Backend is an upstream. It answers each request with 200 and its name, those
// to a path with /slow in it not before Release.
type Backend struct {
	Address string // host:port
	Release func()
	Close   func() // it listens no more
}

// Call returns what became of a request, and whether anything has yet.
type Call func() (Response, bool)

// Response is an answer; Status 0 is a connection that ended without one.
type Response struct {
	Status     int
	Body       string
	RetryAfter string
}

// HTTPSend returns a Send through the proxy that listens at address (host:port).
func HTTPSend(address func(t *testing.T) string) func(t *testing.T, method, host, path string) Call {
	return func(t *testing.T, method, host, path string) Call {
		done := make(chan Response, 1)
		req, err := http.NewRequestWithContext(bound(t), method, "http://"+address(t)+path, nil)
		ok(t, err)
		req.Host = host
		go func() {
			transport := &http.Transport{DisableKeepAlives: true}
			defer transport.CloseIdleConnections()
			res, err := transport.RoundTrip(req)
			if err != nil {
				done <- Response{}
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
			if err != nil {
				done <- Response{}
				return
			}
			done <- Response{Status: res.StatusCode, Body: strings.TrimSpace(string(body)), RetryAfter: res.Header.Get("Retry-After")}
		}()
		var got *Response
		return func() (Response, bool) {
			if got == nil {
				select {
				case r := <-done:
					got = &r
				default:
					return Response{}, false
				}
			}
			return *got, true
		}
	}
}

// HTTPBackend is a Backend that really listens.
func HTTPBackend(t *testing.T, name string) Backend {
	gate := make(chan struct{})
	var once sync.Once
	release := func() { once.Do(func() { close(gate) }) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/slow") {
			select {
			case <-gate:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprint(w, name)
	}))
	var closing sync.Once
	end := func() { closing.Do(func() { release(); s.CloseClientConnections(); s.Close() }) }
	t.Cleanup(end)
	return Backend{Address: s.Listener.Addr().String(), Release: release, Close: end}
}

// RunRouter runs the suite.
func RunRouter(t *testing.T, h Router) { run(t, RouterCases(h)) }

// RouterCases are the cases of the suite.
func RouterCases(h Router) []Case {
	if h.Backend == nil {
		h.Backend = HTTPBackend
	}
	return suite(h, []named[Router]{
		{"Set", Router.set},
		{"SetEqualIsNoOp", Router.setEqual},
		{"SetConflict", Router.setConflict},
		{"Switch", Router.switchSlot},
		{"SeveralRoutes", Router.several},
		{"NoSlot", Router.noSlot},
		{"UnknownHost", Router.unknown},
		{"OtherTenantsHost", Router.claimed},
		{"Hold", Router.hold},
		{"HoldExpires", Router.holdExpires},
		{"HoldQueue", Router.holdQueue},
		{"InFlight", Router.inFlight},
		{"Cut", Router.cut},
		{"Usage", Router.usage},
		{"DeadBackend", Router.dead},
		{"Delete", Router.delete},
		{"ObserveFilter", Router.filter},
		{"Claim", Router.claim},
		{"Restart", Router.restart},
	})
}

// pair is a tenant's entry on host with a backend for each slot.
type pair struct{ blue, green Backend }

func (h Router) entry(t *testing.T, tenant string, routes ...string) (plans.Entry, pair) {
	t.Helper()
	p := pair{h.Backend(t, tenant+" blue"), h.Backend(t, tenant+" green")}
	e := plans.Entry{Tenant: tenant, Slot: plans.Blue}
	for _, r := range routes {
		host, path, _ := strings.Cut(r, "/")
		e.Routes = append(e.Routes, plans.EntryRoute{Host: host, Path: "/" + path, Service: "app",
			Address: map[plans.Slot]string{plans.Blue: p.blue.Address, plans.Green: p.green.Address}})
	}
	return e, p
}

// put sets the entry and fails the test if that fails.
func put(t *testing.T, rt drivers.Router, e plans.Entry, rev uint64) uint64 {
	t.Helper()
	now, err := rt.Set(bound(t), "id", e, rev)
	ok(t, err)
	return now
}

// see returns the tenant's route, which must be there.
func (h Router) see(t *testing.T, rt drivers.Router, tenant string) observed.Route {
	t.Helper()
	routes, _, err := rt.Observe(bound(t), tenant)
	ok(t, err)
	r, there := routes[tenant]
	if !there {
		t.Fatalf("no entry of %s", tenant)
	}
	return r
}

// finish waits for the answer of a call.
func (h Router) finish(t *testing.T, call Call) Response {
	t.Helper()
	var r Response
	h.until(t, func() string {
		var done bool
		if r, done = call(); !done {
			return "no answer yet"
		}
		return ""
	})
	return r
}

// want sends a request and compares the answer.
func (h Router) want(t *testing.T, host, path string, status int, body string) {
	t.Helper()
	r := h.finish(t, h.Send(t, "GET", host, path))
	if r.Status != status || status == 200 && r.Body != body {
		t.Errorf("GET %s%s: %d %q, want %d %q", host, path, r.Status, r.Body, status, body)
	}
}

// wait polls the tenant's route until cond holds.
func (h Router) wait(t *testing.T, rt drivers.Router, tenant, what string, cond func(observed.Route) bool) observed.Route {
	t.Helper()
	var r observed.Route
	h.until(t, func() string {
		if r = h.see(t, rt, tenant); !cond(r) {
			return fmt.Sprintf("want %s: %+v", what, r)
		}
		return ""
	})
	return r
}

// far is a limit no test reaches; soon is one each test reaches.
const (
	far  = plans.Duration(10 * time.Minute)
	soon = plans.Duration(300 * time.Millisecond)
)
