package agent

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// pipes is a listener whose connections are net.Pipes: no socket in a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	p.conns <- far
	return near, nil
}

// daemon runs the world's agent and its control API, and returns a client.
func (w *world) daemon(t *testing.T) *Client {
	ctx, stop := context.WithCancel(context.Background())
	l := newPipes()
	ended := make(chan error, 2)
	go func() { ended <- w.agent.Run(ctx) }()
	go func() { ended <- w.agent.ServeOn(ctx, l) }()
	c := NewClient(l.dial)
	t.Cleanup(func() {
		c.Close()
		stop()
		<-ended
		<-ended
	})
	return c
}

func TestControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		c, ctx := w.daemon(t), t.Context()
		var events, progress int
		out, err := c.Pass(ctx, func(l Line) {
			if l.Event != nil {
				events++
			}
			if l.Progress != nil {
				progress++
			}
		})
		if err != nil || out.Commit != "c1" || events == 0 || progress == 0 {
			t.Fatalf("pass: %+v, %v; %d events, %d progress", out, err, events, progress)
		}
		s, err := c.Status(ctx, "t01")
		if err != nil || len(s.Tenants) != 1 || s.Tenants[0].State != reconcile.Converged {
			t.Errorf("status: %+v, %v", s, err)
		}
		e, err := c.Explain(ctx, "t00")
		if err != nil || e.Record.Current == nil || e.Want == nil {
			t.Errorf("explain: %+v, %v", e, err)
		}
		if _, err := c.Explain(ctx, "nobody"); observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("explain nobody: %v", err)
		}
		if d, err := c.Drift(ctx); err != nil || len(d) != 0 {
			t.Errorf("drift: %v, %v", d, err)
		}
		if p, err := c.DryRun(ctx, nil); err != nil || len(p.Changes) != 0 || p.Commit != "c1" {
			t.Errorf("dry-run: %+v, %v", p, err)
		}
		var heard []string
		following, enough := context.WithCancel(ctx)
		done := make(chan error)
		go func() {
			done <- c.Events(following, journal.Query{Tenant: "t00"}, true, func(e journal.Logged) {
				heard = append(heard, e.Kind)
				if e.Kind == "tenant.switched" && len(heard) > 10 {
					enough()
				}
			})
		}()
		synctest.Wait()
		w.agent.SetPlan(fleet("c2", 2, "app2"))
		if err := <-done; err != nil {
			t.Errorf("events: %v", err)
		}
		if err := c.Nudge(ctx); err != nil {
			t.Errorf("nudge: %v", err)
		}
		for path, want := range map[string]string{"/healthz": "ok", "/metrics": `reconcile_tenants{state="converged"}`} {
			if got := get(t, c, path); !strings.Contains(got, want) {
				t.Errorf("%s: %s", path, got)
			}
		}
	})
}

func get(t *testing.T, c *Client, path string) string {
	body, err := c.open(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSocketIsPrivateAndReplaced(t *testing.T) {
	w := newWorld(t, fleet("c1", 1, "app1"))
	dir := t.TempDir()
	path := filepath.Join(dir, SocketName)
	if _, err := Dial(t.Context(), dir); err == nil {
		t.Fatal("nobody answered")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // left by a dead process
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.agent.Serve(ctx, dir) }()
	var c *Client
	for c == nil {
		c, _ = Dial(t.Context(), dir)
		if t.Context().Err() != nil {
			t.Fatal("never served")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket is %v, %v", info.Mode(), err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.Fleet != "f" {
		t.Errorf("status %+v, %v", s, err)
	}
	c.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLocalRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		w.pass()
		w.agent.SetPlan(fleet("c2", 1, "app2"))
		w.pass()
		if err := w.agent.Rollback("t00"); err != nil {
			t.Fatal(err)
		}
		w.pass()
		s := w.agent.Status().Tenants[0]
		if s.ActiveSlot != plans.Blue || s.State != reconcile.HeldBack || s.Reason != reconcile.RolledBack {
			t.Fatalf("after the rollback: %s", w.text())
		}
		w.agent.Refresh()
		w.pass()
		if s := w.agent.Status().Tenants[0]; s.ActiveSlot != plans.Blue {
			t.Errorf("the withheld target came back: %s", w.text())
		}
		if err := w.agent.Rollback("nobody"); observed.ClassOf(err) != observed.Refused {
			t.Errorf("rollback of nobody: %v", err)
		}
	})
}

// TestLocalRetry: a person on the host says that a target may be tried again.
func TestLocalRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		w.pass()
		w.host.SetImage(image("app2"), mem.Image{Sick: true})
		w.agent.SetPlan(fleet("c2", 1, "app2"))
		w.pass()
		w.want(reconcile.HeldBack)
		w.host.SetImage(image("app2"), mem.Image{})
		c := w.daemon(t)
		if err := c.Retry(t.Context(), "t00"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Pass(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if s := w.agent.Status().Tenants[0]; s.State != reconcile.Converged || s.ActiveSlot != plans.Green {
			t.Errorf("after the retry: %s", w.text())
		}
		if told := w.told(DecisionLocal); len(told) != 1 || told[0]["answer"] != "retry" {
			t.Errorf("told %v", told)
		}
	})
}

func TestLostJournalAsksBeforeItStartsAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 2, "app1"))
		w.pass()
		w.store = journal.NewMemory()
		w.plan = fleet("c2", 2, "app2")
		w.start()
		out := w.pass()
		if len(out.Blocked) != 2 || out.Blocked[0].Question == nil {
			t.Fatalf("blocked %+v\n%s", out.Blocked, w.text())
		}
		for _, s := range w.agent.Status().Tenants {
			// How it shall be probed went with the journal: it runs, unproved.
			if s.ActiveSlot != plans.Blue || !s.Services[0].Running {
				t.Errorf("%s does not serve on: %s", s.Name, w.text())
			}
		}
		// The word outlives a restart that comes before it is heard.
		w.store = w.store.Reopen()
		w.start()
		if out := w.pass(); len(out.Blocked) != 2 {
			t.Fatalf("a restart forgot the question: %s", w.text())
		}
		answered := fleet("c3", 2, "app2")
		answered.Decisions = []plans.Decision{{Name: "mine", Question: out.Blocked[0].Question.ID, Answer: Adopt}}
		w.plan = answered
		w.agent.SetPlan(answered)
		w.pass()
		w.want(reconcile.Converged)
		w.store = w.store.Reopen()
		w.start()
		w.pass()
		w.want(reconcile.Converged)
	})
}

func TestOtherController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fleet("c1", 1, "app1"))
		if err := w.host.Router().Claim(t.Context(), "somebody"); err != nil {
			t.Fatal(err)
		}
		if out := w.pass(); len(out.Blocked) != 1 || w.agent.Status().Controller != "somebody" {
			t.Errorf("another's host was taken: %s", w.text())
		}
		if n := w.host.Writes()[mem.PartRuntime]; n != 0 {
			t.Errorf("%d write calls", n)
		}
	})
}

const secret = "hunter2-but-longer"

func TestInputsAreKeptAndNeverShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var seen strings.Builder
		w := newWorld(t, withSecret(fleet("c1", 1, "app1"), "1"), func(c *Config) {
			c.Dir = dir
			c.Events = func(e reconcile.Event) { seen.WriteString(e.Text); seen.WriteString(e.Fields["log"]) }
		})
		w.host.SetFile("/etc/secrets.env", "PASSWORD="+secret+"\n")
		w.pass()
		w.want(reconcile.Converged)
		kept, err := filepath.Glob(filepath.Join(dir, "inputs", "t00", "*", "*"))
		if err != nil || len(kept) != 1 {
			t.Fatalf("kept %v, %v", kept, err)
		}
		if info, err := os.Stat(kept[0]); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("kept input is %v, %v", info.Mode(), err)
		}
		// A change under the same version is drift, and acts on nothing.
		w.host.SetFile("/etc/secrets.env", "PASSWORD=another-long-value\n")
		before := w.host.Writes()[mem.PartRuntime]
		w.agent.Refresh()
		w.pass()
		if d := w.agent.Drift(); len(d) != 1 || d[0].Drift[0].Kind != "inputsChanged" {
			t.Errorf("drift %+v", d)
		}
		if n := w.host.Writes()[mem.PartRuntime]; n != before {
			t.Errorf("%d write calls for it", n-before)
		}
		// A release that prints the secret and dies shows it to nobody.
		w.host.SetImage(image("bad"), mem.Image{Exits: true, Code: 1, Log: "cannot log in with " + secret})
		w.agent.SetPlan(withSecret(fleet("c2", 1, "bad"), "1"))
		w.pass()
		e, err := w.agent.Explain("t00")
		if err != nil {
			t.Fatal(err)
		}
		text := seen.String() + w.text()
		if p := e.Status.Problem; p != nil {
			text += p.Log
		}
		for _, h := range e.Record.Withheld {
			text += h.Why + h.Problem.Log
		}
		if strings.Contains(text, secret) || !strings.Contains(text, redacted) {
			t.Errorf("shown: %s", text)
		}
		// What the failed release read is gone with it; the way back is not.
		kept, err = filepath.Glob(filepath.Join(dir, "inputs", "t00", "*", "*"))
		if err != nil || len(kept) != 1 {
			t.Errorf("kept %v, %v", kept, err)
		}
	})
}

func withSecret(p *plans.Plan, version string) *plans.Plan {
	for i := range p.Tenants {
		s := p.Tenants[i].Core.Services["app"]
		s.EnvFrom = []plans.HostFile{{File: "/etc/secrets.env", Version: version}}
		p.Tenants[i].Core.Services["app"] = s
	}
	return p
}

func TestPreflightRefusesByName(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plans.Service)
		want   string
	}{
		"missing file":      {func(s *plans.Service) { s.EnvFrom = []plans.HostFile{{File: "/none.env", Version: "1"}} }, "/none.env"},
		"unsupported field": {func(s *plans.Service) { s.Privileged = true }, "privileged"},
		"missing image":     {func(s *plans.Service) { s.Image = image("gone") }, "no such image"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := fleet("c1", 1, "app1")
				s := p.Tenants[0].Core.Services["app"]
				c.change(&s)
				p.Tenants[0].Core.Services["app"] = s
				w := newWorld(t, p)
				weak := mem.AllTraits
				weak.Caps = false
				w.host = mem.New(mem.Config{Now: time.Now, Traits: weak})
				w.host.SetImage(image("gone"), mem.Image{Missing: true})
				w.start()
				out := w.pass()
				if len(out.Blocked) != 1 || !strings.Contains(out.Blocked[0].Why, c.want) {
					t.Errorf("blocked %+v", out.Blocked)
				}
			})
		})
	}
}
