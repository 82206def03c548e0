package main

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/caddy"
	"github.com/gitops-fleet/reconcile/drivers/mem"
)

// adminSocket is where the proxy is told what to do.
func (s settings) adminSocket() string {
	return cmp.Or(s.Drivers.Caddy.Admin, s.at("caddy", "admin.sock"))
}

// openRouter reaches the proxy. A look where no proxy was ever started finds an
// empty table, which is what a first pass would find.
func openRouter(set settings, owner drivers.Owner) (drivers.Router, error) {
	admin := set.adminSocket()
	if _, err := os.Stat(admin); err != nil && set.scratch != "" {
		return mem.New(mem.Config{Now: time.Now}).Router(), nil
	}
	return caddy.New(caddy.Config{Admin: admin, Proxy: "http://" + localAddress(set.Drivers.Caddy.Listen), Owner: owner})
}

// startProxy starts the proxy detached, or adopts the one that answers.
func startProxy(ctx context.Context, set settings) error {
	_, err := caddy.Start(ctx, caddy.Proxy{
		Binary: proxyBinary(set.Drivers.Caddy.Binary),
		Dir:    cmp.Or(set.Drivers.Caddy.State, set.at("caddy")),
		Socket: set.adminSocket(), Listen: []string{set.Drivers.Caddy.Listen},
	})
	return err
}

// proxyBinary is the configured one, else the one beside us, else by PATH.
func proxyBinary(configured string) string {
	if configured != "" {
		return configured
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "reconcile-caddy")
		if _, err := exec.LookPath(beside); err == nil {
			return beside
		}
	}
	return "reconcile-caddy"
}

// localAddress turns a listen address into one to connect to from here.
func localAddress(listen string) string {
	if strings.HasPrefix(listen, ":") {
		return "127.0.0.1" + listen
	}
	return strings.Replace(listen, "0.0.0.0:", "127.0.0.1:", 1)
}
