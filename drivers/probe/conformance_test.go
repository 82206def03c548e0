package probe_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/probe"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func TestProber(t *testing.T) {
	var h *host
	drivertest.RunProber(t, drivertest.Prober{
		New: func(t *testing.T) (drivers.Prober, func(drivertest.Manner) (plans.Key, map[string]int)) {
			h = &host{verdict: observed.Healthy}
			p := probe.New(func(string) (drivers.Runtime, error) { return h, nil })
			return p, func(m drivertest.Manner) (plans.Key, map[string]int) {
				return plans.Key{Tenant: "acme", Slot: plans.Blue, Service: "app"}, map[string]int{"http": instance(t, h, m)}
			}
		},
		Blind: func(*testing.T) {
			h.execErr = &observed.Problem{Class: observed.Environment, Text: "the engine does not answer"}
		},
	})
}

// instance has h and a port on loopback answer in the manner.
func instance(t *testing.T, h *host, m drivertest.Manner) int {
	status, body := http.StatusOK, "well"
	switch m {
	case drivertest.Sick:
		status, body, h.exit, h.verdict = http.StatusInternalServerError, "sick", 1, observed.Failing
	case drivertest.Other:
		h.listens = &observed.Problem{Class: observed.Conflict, Text: "process 12 (nginx) listens there"}
	case drivertest.Gone:
		h.execErr = &observed.Problem{Class: observed.Conflict, Text: "there is no such instance"}
		return freePort(t)
	case drivertest.Closed:
		return freePort(t)
	case drivertest.Silent:
		h.execErr = context.DeadlineExceeded
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.Addr().(*net.TCPAddr).Port // the kernel accepts, and nobody answers
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-State", body)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().(*net.TCPAddr).Port
}
