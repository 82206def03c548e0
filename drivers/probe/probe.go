// Package probe asks instances how they are: over HTTP, TCP, by a command in
// the instance, or by the image's own healthcheck. An answer counts only if it
// comes from the very instance that was asked: who listens on the port is
// checked below HTTP, with the runtime.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// bodyLimit is how much of an answer's body is searched for the wanted text.
const bodyLimit = 64 << 10

// Prober implements drivers.Prober on this host's loopback.
type Prober struct {
	runtime func(name string) (drivers.Runtime, error)
	client  *http.Client
}

// New returns a Prober that finds a runtime by its name with runtime; "" is the
// default one.
func New(runtime func(name string) (drivers.Runtime, error)) *Prober {
	return &Prober{
		runtime: runtime,
		client: &http.Client{
			// A fresh connection each time: an answer over a connection opened
			// before the last restart would say nothing about who listens now.
			Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Probe asks once. See drivers.Prober.
func (p *Prober) Probe(ctx context.Context, t drivers.ProbeTarget) (drivers.Outcome, error) {
	out, err := p.ask(ctx, t)
	if ctx.Err() != nil && !out.OK {
		// The caller broke off, which says nothing about the instance.
		return drivers.Outcome{}, observed.Wrap("probe", t.Key.String(), observed.Environment, context.Cause(ctx), "")
	}
	return out, err
}

func (p *Prober) ask(ctx context.Context, t drivers.ProbeTarget) (drivers.Outcome, error) {
	rt, err := p.runtime(t.Runtime)
	if err != nil {
		return drivers.Outcome{}, observed.Wrap("probe", t.Key.String(), observed.Environment, err, "")
	}
	h := t.Health.Effective()
	ctx, cancel := context.WithTimeout(ctx, h.Timeout.Std())
	defer cancel()
	switch {
	case h.HTTP != nil:
		port, err := Port(t.Ports, h.HTTP.Port)
		if err != nil {
			return drivers.Outcome{}, observed.Wrap("probe", t.Key.String(), observed.Refused, err, "name the port in health.http.port")
		}
		return p.listening(ctx, rt, t.Key, port, p.http(ctx, h.HTTP, port))
	case h.TCP != nil:
		port, err := Port(t.Ports, h.TCP.Port)
		if err != nil {
			return drivers.Outcome{}, observed.Wrap("probe", t.Key.String(), observed.Refused, err, "name the port in health.tcp.port")
		}
		return p.listening(ctx, rt, t.Key, port, tcp(ctx, port))
	case h.Exec != nil:
		return execute(ctx, rt, t.Key, h)
	case h.Image:
		v, text, err := rt.ImageHealth(ctx, t.Key)
		if err != nil {
			return drivers.Outcome{}, observed.Wrap("probe", t.Key.String(), observed.Environment, err, "")
		}
		return drivers.Outcome{OK: v == observed.Healthy, Text: "image healthcheck: " + text}, nil
	}
	// No probe: that the instance runs is seen by the runtime, not here.
	return drivers.Outcome{OK: true, Text: "running (no probe in the plan)"}, nil
}

// listening lets a good answer count only if the instance itself gave it.
func (p *Prober) listening(ctx context.Context, rt drivers.Runtime, key plans.Key, port int, got drivers.Outcome) (drivers.Outcome, error) {
	if !got.OK {
		return got, nil
	}
	err := rt.Listens(ctx, key, port)
	switch {
	case err == nil:
		return got, nil
	case observed.ClassOf(err) == observed.Conflict:
		return drivers.Outcome{Text: fmt.Sprintf("%s, but not by this instance: %v", got.Text, err)}, nil
	case ctx.Err() != nil:
		return drivers.Outcome{Text: got.Text + ", but who listens was not answered in time"}, nil
	}
	return drivers.Outcome{}, observed.Wrap("probe", key.String(), observed.Environment, err, "")
}

func (p *Prober) http(ctx context.Context, want *plans.HTTPProbe, port int) drivers.Outcome {
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + want.Path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return drivers.Outcome{Text: fmt.Sprintf("GET %s: %v", want.Path, err)}
	}
	req.Header.Set("User-Agent", "reconcile-probe")
	start := time.Now()
	res, err := p.client.Do(req)
	if err != nil {
		return drivers.Outcome{Text: fmt.Sprintf("GET %s: %s", want.Path, reason(err))}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, bodyLimit))
	took := time.Since(start).Round(time.Millisecond)
	text := fmt.Sprintf("GET %s: %d in %v", want.Path, res.StatusCode, took)
	if err != nil {
		return drivers.Outcome{Text: text + ", body: " + reason(err)}
	}
	// The body itself is never repeated: it may hold a secret.
	switch {
	case want.Status != 0 && res.StatusCode != want.Status:
		return drivers.Outcome{Text: fmt.Sprintf("%s, wanted %d", text, want.Status)}
	case want.Status == 0 && (res.StatusCode < 200 || res.StatusCode > 299):
		return drivers.Outcome{Text: text + ", wanted 2xx"}
	case want.Body != "" && !strings.Contains(string(body), want.Body):
		return drivers.Outcome{Text: fmt.Sprintf("%s, body lacks %q", text, want.Body)}
	}
	for name, value := range want.Header {
		if got := res.Header.Get(name); got != value {
			return drivers.Outcome{Text: fmt.Sprintf("%s, header %s is not %q", text, name, value)}
		}
	}
	return drivers.Outcome{OK: true, Text: text}
}

func tcp(ctx context.Context, port int) drivers.Outcome {
	var d net.Dialer
	start := time.Now()
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return drivers.Outcome{Text: fmt.Sprintf("connect to port %d: %s", port, reason(err))}
	}
	c.Close()
	return drivers.Outcome{OK: true, Text: fmt.Sprintf("connect to port %d: accepted in %v", port, time.Since(start).Round(time.Millisecond))}
}

func execute(ctx context.Context, rt drivers.Runtime, key plans.Key, h plans.Health) (drivers.Outcome, error) {
	exit, _, err := rt.Exec(ctx, key, h.Exec.Command)
	name := h.Exec.Command[0]
	switch {
	case err != nil && ctx.Err() != nil:
		return drivers.Outcome{Text: fmt.Sprintf("%s: no answer within %v", name, h.Timeout)}, nil
	case err != nil && observed.ClassOf(err) == observed.Environment:
		return drivers.Outcome{}, observed.Wrap("probe", key.String(), observed.Environment, err, "")
	case err != nil:
		return drivers.Outcome{Text: fmt.Sprintf("%s: %v", name, err)}, nil
	case exit != 0:
		return drivers.Outcome{Text: fmt.Sprintf("%s: exit status %d", name, exit)}, nil
	}
	return drivers.Outcome{OK: true, Text: name + ": exit status 0"}, nil
}

// Port picks the host port a probe asks: the named one, else the only one, else
// the one named http.
func Port(ports map[string]int, name string) (int, error) {
	if name != "" {
		if p, ok := ports[name]; ok {
			return p, nil
		}
		return 0, fmt.Errorf("the service has no port named %q", name)
	}
	if p, ok := ports["http"]; ok {
		return p, nil
	}
	if len(ports) == 1 {
		for _, p := range ports {
			return p, nil
		}
	}
	return 0, fmt.Errorf("the service has %d ports and none is named http", len(ports))
}

// reason is err without the URL that net/http wraps around it.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
