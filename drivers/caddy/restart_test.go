package caddy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func wantConflict(t *testing.T, err error) {
	t.Helper()
	if err == nil || observed.ClassOf(err) != observed.Conflict {
		t.Fatalf("error %v, want a conflict", err)
	}
}

// get asks the proxy for a host; the body is without its end of line.
func (r *running) get(t *testing.T, method, host string) (int, string) {
	t.Helper()
	c := r.client()
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(body))
}

func (r *running) want(t *testing.T, host string, status int, body string) {
	t.Helper()
	if s, b := r.get(t, http.MethodGet, host); s != status || b != body {
		t.Errorf("%s: %d %q, want %d %q", host, s, b, status, body)
	}
}

// TestKilledProxyServesTheSameTable: nobody but clients talks to it after.
func TestKilledProxyServesTheSameTable(t *testing.T) {
	p, ledger := newProxy(t), new(load.Ledger)
	for n := range 20 {
		name := fmt.Sprint("t", n)
		u := newUpstream(t, name, ledger)
		p.put(t, entry(name, name+".test", plans.Slot([]plans.Slot{plans.Blue, plans.Green}[n%2]), u.address, u.address))
	}
	p.put(t, plans.Entry{Tenant: "idle", Routes: []plans.EntryRoute{{Host: "idle.test", Path: "/"}}})
	p.get(t, http.MethodPost, "t3.test")
	before, _, err := p.router.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.kill(t)
	if _, _, err := p.router.Observe(t.Context()); observed.ClassOf(err) != observed.Environment {
		t.Errorf("with the proxy dead: %v, want an environment error", err)
	}
	p.start(t)
	for n := range 20 {
		p.want(t, fmt.Sprintf("t%d.test", n), 200, fmt.Sprint("t", n))
	}
	p.want(t, "idle.test", 503, "")
	p.want(t, "nobody.test", 404, "")
	after, _, err := p.router.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range before {
		if got := after[name]; got.Revision != want.Revision || got.Entry.Slot != want.Entry.Slot {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if w := after["t3"].Slots[plans.Green].Writes; w == 0 {
		t.Error("that t3's green slot was written to was forgotten")
	}
	if w := after["t5"].Slots[plans.Green].Writes; w != 0 {
		t.Errorf("t5's green slot counts %d writes, it got none", w)
	}
}

// TestCorruptTable: one bad copy costs nothing, two are served as far as they
// are good, and never as another tenant's.
func TestCorruptTable(t *testing.T) {
	spoil := func(t *testing.T, path string, at float64) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[int(float64(len(b))*at)] ^= 0x40
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		spoil   map[string]float64
		damaged bool
		last    int // status of the last tenant set
	}{
		{"one copy", map[string]float64{"table.a": 0.5}, false, 200},
		{"one copy's end", map[string]float64{"table.b": 0.99}, false, 200},
		{"both copies", map[string]float64{"table.a": 0.5, "table.b": 0.5}, true, 503},
		{"both beginnings", map[string]float64{"table.a": 0, "table.b": 0}, true, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ledger := newProxy(t), new(load.Ledger)
			for n := range 10 {
				name := fmt.Sprint("t", n)
				p.put(t, entry(name, name+".test", plans.Blue, newUpstream(t, name, ledger).address, "127.0.0.1:1"))
			}
			p.kill(t)
			for file, at := range c.spoil {
				spoil(t, filepath.Join(p.Dir, tableName, file), at)
			}
			p.start(t)
			h, err := p.router.Health(t.Context())
			if err != nil || (h.Damaged != "") != c.damaged {
				t.Errorf("health says %+v (%v), want damaged %v", h, err, c.damaged)
			}
			for n := range 10 {
				name := fmt.Sprint("t", n)
				status, body := p.get(t, http.MethodGet, name+".test")
				if status == 200 && body != name || status != 200 && status != 503 {
					t.Errorf("%s is answered %d %q", name, status, body)
				}
				if n == 9 && status != c.last {
					t.Errorf("the last tenant is answered %d, want %d", status, c.last)
				}
			}
			if !c.damaged {
				return
			}
			if err := p.router.Claim(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			p.want(t, "nobody.test", 404, "")
			p.kill(t)
			p.start(t)
			if h, err := p.router.Health(t.Context()); err != nil || h.Damaged != "" {
				t.Errorf("after a claim and a start: %+v, %v", h, err)
			}
		})
	}
}

// TestReloadKeepsEverything loads another configuration while a hold is on.
func TestReloadKeepsEverything(t *testing.T) {
	p, ledger := newProxy(t), new(load.Ledger)
	blue, green := newUpstream(t, "blue", ledger), newUpstream(t, "green", ledger)
	order := entry("acme", "acme.test", plans.Blue, blue.address, green.address)
	p.put(t, order)
	for range 3 {
		p.get(t, http.MethodPost, "acme.test")
	}
	order.Hold = &plans.Hold{ID: "h", Limit: plans.Duration(time.Minute)}
	p.put(t, order)
	held := make(chan string, 1)
	go func() {
		status, body := p.get(t, http.MethodGet, "acme.test")
		held <- fmt.Sprint(status, " ", body)
	}()
	until(t, "one waits", func() bool { return p.see(t, "acme").Waiting == 1 })
	before := p.see(t, "acme")

	settings, err := p.settings()
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(settings), `"WARN"`, `"INFO"`, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://caddy/load", strings.NewReader(changed))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := newClient(p.socket()).http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("load: %s", res.Status)
	}
	p.router = p.open(t)
	after := p.see(t, "acme")
	if fmt.Sprintf("%+v", after.Slots) != fmt.Sprintf("%+v", before.Slots) || after.Revision != before.Revision || !after.Held || after.Waiting != 1 {
		t.Errorf("before the reload %+v, after it %+v", before, after)
	}
	order.Hold, order.Slot = nil, plans.Green
	p.put(t, order)
	if got := <-held; got != "200 green" {
		t.Errorf("the held request: %s", got)
	}
	p.want(t, "acme.test", 200, "green")
}

// TestSecondProxyIsRefused: two proxies never share a table.
func TestSecondProxyIsRefused(t *testing.T) {
	p := newProxy(t)
	second := p.Proxy
	second.Listen, second.Socket = []string{freeAddress(t)}, filepath.Join(p.Dir, "second.sock")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	short, done := context.WithTimeout(ctx, 300*time.Millisecond)
	defer done()
	_, err := Start(short, second)
	var problem *observed.Problem
	if !errors.As(err, &problem) || problem.Class != observed.Environment || !strings.Contains(err.Error(), fmt.Sprint("in use by process ", p.pid)) {
		t.Errorf("a second proxy: %v, want it refused by the first one's process id", err)
	}

	// Started by hand it gets no further than the lock.
	second.Dir = filepath.Join(p.Dir, "second")
	settings, err := second.settings()
	if err != nil {
		t.Fatal(err)
	}
	settings = bytes.ReplaceAll(settings, []byte(filepath.Join(second.Dir, tableName)), []byte(filepath.Join(p.Dir, tableName)))
	config := filepath.Join(p.Dir, "second.json")
	if err := os.WriteFile(config, settings, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, binary, "run", "--config", config).CombinedOutput(); err == nil {
		t.Errorf("it ran: %s", out)
	}
	if words := second.lastWords(); !strings.Contains(words, fmt.Sprint("in use by process ", p.pid)) {
		t.Errorf("its last words are %q", words)
	}
	if _, err := p.router.Health(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStartSaysWhyNot: an address that is taken is named, and nothing stays behind.
func TestStartSaysWhyNot(t *testing.T) {
	first := newProxy(t)
	dir, err := os.MkdirTemp("", "rc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	_, err = Start(t.Context(), Proxy{Binary: binary, Dir: dir, Listen: []string{first.address}})
	if err == nil || !strings.Contains(err.Error(), first.address) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v, want it to name %s", err, first.address)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if unlock, err := alone(ctx, filepath.Join(dir, tableName, lockName)); err != nil {
		t.Error(err)
	} else {
		unlock()
	}
	_, err = Start(t.Context(), Proxy{Binary: filepath.Join(dir, "absent"), Dir: dir, Listen: []string{freeAddress(t)}})
	if observed.ClassOf(err) != observed.Environment {
		t.Errorf("without a binary: %v", err)
	}
	long := Proxy{Binary: binary, Dir: filepath.Join(dir, strings.Repeat("x", socketMax)), Listen: []string{freeAddress(t)}}
	if _, err = Start(t.Context(), long); observed.ClassOf(err) != observed.Refused {
		t.Errorf("with a path too long for a socket: %v", err)
	}
}

// TestAdopt: a second start finds the first one's proxy, and Stop ends it.
func TestAdopt(t *testing.T) {
	p := newProxy(t)
	again, err := Start(t.Context(), p.Proxy)
	if err != nil || again.Started || again.PID != p.pid {
		t.Errorf("started again: %+v, %v; want process %d adopted", again, err, p.pid)
	}
	other := p.Proxy
	other.Listen = []string{freeAddress(t)}
	if again, err = Start(t.Context(), other); err != nil || again.PID != p.pid {
		t.Errorf("with another address: %+v, %v", again, err)
	}
	build := p.Proxy
	build.Binary = filepath.Join(t.TempDir(), "reconcile-caddy")
	if err := os.WriteFile(build.Binary, []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for want, proxy := range map[string]Proxy{"": p.Proxy, "runs with other settings": other, "runs another build than " + build.Binary: build} {
		if got := proxy.Outdated(t.Context()); got != want && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if err := Stop(t.Context(), p.Proxy); err != nil {
		t.Fatal(err)
	}
	if err := Stop(t.Context(), p.Proxy); err != nil {
		t.Errorf("stopped again: %v", err)
	}
	if got := other.Outdated(t.Context()); got != "" {
		t.Errorf("while none runs: %s", got)
	}
}
