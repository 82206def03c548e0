package probe_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/probe"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// host answers what a prober asks of a runtime, and nothing else.
type host struct {
	drivers.Runtime
	listens error
	exit    int
	execErr error
	verdict observed.Verdict
}

func (h *host) Listens(context.Context, plans.Key, int) error { return h.listens }
func (h *host) Exec(ctx context.Context, _ plans.Key, _ []string) (int, string, error) {
	if h.execErr == context.DeadlineExceeded {
		<-ctx.Done()
		return 0, "", ctx.Err()
	}
	return h.exit, "token=hunter2", h.execErr
}
func (h *host) ImageHealth(context.Context, plans.Key) (observed.Verdict, string, error) {
	return h.verdict, "2 of 3", nil
}

func TestProbe(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health":
			w.Header().Set("X-Ready", "yes")
			io.WriteString(w, "all good, secret=hunter2")
		case "/teapot":
			w.WriteHeader(http.StatusTeapot)
		case "/elsewhere":
			http.Redirect(w, r, "/health", http.StatusFound)
		case "/slow":
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		}
	}))
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	port, _ := strconv.Atoi(u.Port())
	closed := freePort(t)
	ports := map[string]int{"http": port, "closed": closed}
	web := func(p plans.HTTPProbe) plans.Health {
		return plans.Health{HTTP: &p, Timeout: plans.Duration(300 * time.Millisecond)}
	}
	conflict := &observed.Problem{Class: observed.Conflict, Text: "pid 12 (nginx) listens there"}
	tests := []struct {
		name   string
		host   host
		health plans.Health
		ok     bool
		text   string
		class  observed.Class // of an error
	}{
		{name: "2xx", health: web(plans.HTTPProbe{Path: "/health"}), ok: true, text: "GET /health: 200"},
		{name: "wanted status", health: web(plans.HTTPProbe{Path: "/teapot", Status: 418}), ok: true, text: "418"},
		{name: "other status", health: web(plans.HTTPProbe{Path: "/teapot"}), text: "418 in"},
		{name: "redirect is not followed", health: web(plans.HTTPProbe{Path: "/elsewhere"}), text: "302"},
		{name: "body", health: web(plans.HTTPProbe{Path: "/health", Body: "all good"}), ok: true},
		{name: "body lacks", health: web(plans.HTTPProbe{Path: "/health", Body: "ready"}), text: `body lacks "ready"`},
		{name: "header", health: web(plans.HTTPProbe{Path: "/health", Header: map[string]string{"X-Ready": "yes"}}), ok: true},
		{name: "header differs", health: web(plans.HTTPProbe{Path: "/health", Header: map[string]string{"X-Ready": "no"}}), text: "X-Ready"},
		{name: "timeout", health: web(plans.HTTPProbe{Path: "/slow"}), text: "no answer in time"},
		{name: "refused connection", health: web(plans.HTTPProbe{Path: "/health", Port: "closed"}), text: "refused"},
		{name: "another process answers", host: host{listens: conflict}, health: web(plans.HTTPProbe{Path: "/health"}), text: "not by this instance"},
		{name: "owner not visible", host: host{listens: &observed.Problem{Class: observed.Environment, Text: "engine down"}}, health: web(plans.HTTPProbe{Path: "/health"}), class: observed.Environment},
		{name: "no such port", health: web(plans.HTTPProbe{Path: "/health", Port: "grpc"}), class: observed.Refused},
		{name: "tcp", health: plans.Health{TCP: &plans.TCPProbe{}}, ok: true, text: "accepted"},
		{name: "tcp closed", health: plans.Health{TCP: &plans.TCPProbe{Port: "closed"}}, text: "refused"},
		{name: "exec", health: plans.Health{Exec: &plans.ExecProbe{Command: []string{"check"}}}, ok: true, text: "exit status 0"},
		{name: "exec fails", host: host{exit: 3}, health: plans.Health{Exec: &plans.ExecProbe{Command: []string{"check"}}}, text: "exit status 3"},
		{name: "exec hangs", host: host{execErr: context.DeadlineExceeded}, health: plans.Health{Exec: &plans.ExecProbe{Command: []string{"check"}}, Timeout: plans.Duration(20 * time.Millisecond)}, text: "no answer within"},
		{name: "exec impossible", host: host{execErr: errors.New("no such file")}, health: plans.Health{Exec: &plans.ExecProbe{Command: []string{"check"}}}, text: "no such file"},
		{name: "engine blind", host: host{execErr: &observed.Problem{Class: observed.Environment, Text: "engine down"}}, health: plans.Health{Exec: &plans.ExecProbe{Command: []string{"check"}}}, class: observed.Environment},
		{name: "image healthy", host: host{verdict: observed.Healthy}, health: plans.Health{Image: true}, ok: true},
		{name: "image unproven", health: plans.Health{Image: true}},
		{name: "no probe", health: plans.Health{}, ok: true, text: "no probe"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := probe.New(func(string) (drivers.Runtime, error) { return &tt.host, nil })
			got, err := p.Probe(t.Context(), drivers.ProbeTarget{
				Key: plans.Key{Tenant: "acme", Slot: plans.Blue, Service: "app"}, Health: tt.health, Ports: ports,
			})
			if tt.class != "" {
				if err == nil || observed.ClassOf(err) != tt.class {
					t.Fatalf("error %v, want class %s", err, tt.class)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.OK != tt.ok || !strings.Contains(got.Text, tt.text) {
				t.Errorf("got %+v, want ok=%v and %q in the text", got, tt.ok, tt.text)
			}
			if strings.Contains(got.Text, "hunter2") {
				t.Errorf("the answer repeats content of the instance: %q", got.Text)
			}
		})
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
