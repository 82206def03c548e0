package endtoend

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
)

// Two hundred switches between two warm slots and ten full upgrades, under
// every kind of request there is: none fails, each post counts once.
func TestSwitchesUnderLoad(t *testing.T) {
	flips := 40
	if *soak {
		flips = 400
	}
	switches(t, engine, flips)
}

func switches(t *testing.T, runtime string, flips int) {
	w := newWorld(t, runtime)
	f := fleet{name: w.name, image: w.image("1.0", nil), active: "blue", tenants: []string{"ant", "bee", "cat", "dog", "elk"}}
	files := f.files()
	files["still.yaml"] = "apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: still}\n" +
		"spec: {template: app, services: {app: {image: " + f.image + "}}}\n"
	w.commit("five tenants with two warm slots, and one that stays as it is", files)
	w.pass(0)
	d := w.daemon()

	crowd := w.crowd(f.tenants, load.Config{Workers: map[load.Kind]int{load.Get: 1, load.Post: 1, load.Fresh: 1, load.Stream: 1}, Think: 20 * time.Millisecond, Long: 200 * time.Millisecond})
	other := w.crowd([]string{"still"}, load.Config{Workers: map[load.Kind]int{load.Get: 1, load.Post: 1, load.Stream: 1, load.Socket: 1}, Think: 20 * time.Millisecond, Long: 3 * time.Second})

	began := time.Now()
	for n := range flips {
		f.active = []string{"green", "blue"}[n%2]
		w.commit(fmt.Sprintf("flip %d to %s", n, f.active), f.own())
		w.pass(0)
		for _, tenant := range f.tenants {
			if got := w.answers(tenant, "1.0"); !strings.Contains(got, "slot="+f.active+" ") {
				t.Fatalf("after flip %d, %s is answered by %q", n, tenant, got)
			}
		}
	}
	t.Logf("%d switches of %d tenants in %s: %s each", flips*len(f.tenants), len(f.tenants), round(time.Since(began)), round(time.Since(began)/time.Duration(flips*len(f.tenants))))

	f.active = ""
	began = time.Now()
	w.commit("one slot again", f.own())
	w.pass(0)
	for _, version := range []string{"1.1", "1.2"} {
		f.image = w.image(version, nil)
		w.commit("upgrade to "+version, map[string]string{"app.yaml": f.template()})
		w.pass(0)
		for _, tenant := range f.tenants {
			w.answers(tenant, version)
		}
	}
	t.Logf("%d upgrades in %s", 2*len(f.tenants), round(time.Since(began)))
	crowd.goHome()
	other.goHome()
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	w.clear(append(f.tenants, "still")...)
}

// crowd is load on several tenants.
type crowd struct {
	w    *world
	runs map[string]*load.Run
}

func (w *world) crowd(tenants []string, c load.Config) *crowd {
	o := &crowd{w: w, runs: map[string]*load.Run{}}
	for _, t := range tenants {
		c.Proxy, c.Host = w.Proxy, host(t)
		c.Expect = func(k load.Kind, _ *http.Response, body []byte) error {
			if k != load.Post && !bytes.Contains(body, []byte(" tenant="+t+" ")) {
				return fmt.Errorf("answered by another: %s", body)
			}
			return nil
		}
		o.runs[t] = load.Start(w.ctx, c)
	}
	return o
}

// goHome ends the load and wants that no request failed, and that each post
// was counted by the server exactly once.
func (c *crowd) goHome() {
	c.w.t.Helper()
	for tenant, run := range c.runs {
		r := run.Stop()
		c.w.t.Logf("%-6s %s", tenant, r)
		if r.Failed() > 0 {
			c.w.t.Errorf("%s: %d requests failed:\n  %s", tenant, r.Failed(), strings.Join(r.Errors(), "\n  "))
		}
		if r.Sent() == 0 {
			c.w.t.Errorf("%s: no request was sent", tenant)
		}
		lost, doubled := c.w.book(tenant).Compare(r.Posted)
		if len(lost)+len(doubled) > 0 {
			c.w.t.Errorf("%s: of %d posts %d are not on the books %q, %d are there twice %q", tenant, len(r.Posted), len(lost), lost, len(doubled), doubled)
		}
	}
}

// book is what the tenant's servers noted in the volume they share.
func (w *world) book(tenant string) *load.Ledger {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.State, "volumes", "*", "*", "posts"))
	if err != nil {
		w.t.Fatal(err)
	}
	var l load.Ledger
	for _, name := range names {
		if !strings.Contains(name, tenant) {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			w.t.Fatal(err)
		}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			l.Note(sc.Text())
		}
		f.Close()
	}
	return &l
}
