package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/hashicorp/go-multierror"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/caddy"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/drivers/probe"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// host is this machine as reconcile drives it: the journal, the drivers and the
// agent over them.
type host struct {
	store   *journal.Bolt
	config  agent.Config
	closers []io.Closer
	plan    atomic.Pointer[plans.Plan] // in force; asked by the prober
}

func (h *host) setPlan(p *plans.Plan) { h.plan.Store(p) }

// hostOptions is what differs between verbs.
type hostOptions struct {
	// Serve says that tenants shall be served: the proxy is started if none
	// answers. Without it a proxy that was never started is an empty one.
	Serve    bool
	Socket   string // of the daemon, "" for one pass
	Log      *slog.Logger
	Progress func(agent.Progress)
}

// openHost takes the state directory and makes the drivers that the plan and the
// configuration name.
func openHost(ctx context.Context, set settings, plan *plans.Plan, o hostOptions) (h *host, err error) {
	h = &host{}
	h.setPlan(plan)
	defer func() {
		if err != nil {
			h.Close()
			h = nil
		}
	}()
	from, to, err := set.PortRange()
	if err != nil {
		return h, usage{err}
	}
	if h.store, err = journal.Open(journal.Options{
		Dir: set.State, Socket: o.Socket, RunDir: journal.DefaultRunDir(), Fleet: plan.Fleet, Node: set.Node,
	}); err != nil {
		return h, err
	}
	owner := drivers.Owner{Fleet: plan.Fleet, Node: set.Node, Controller: h.store.Controller()}
	h.config = agent.Config{
		Owner: owner, Store: h.store, Dir: set.State, Ports: agent.PortRange{From: from, To: to}, Parallel: set.Parallel,
		Log: o.Log, Progress: o.Progress,
		Runtimes: map[string]drivers.Runtime{}, DefaultRuntime: set.defaultRuntime(),
		Storages: map[string]drivers.Storage{}, DefaultStorage: "dir",
	}
	for _, name := range set.runtimes(plan) {
		if h.config.Runtimes[name], err = h.runtime(name, set, owner, o.Log); err != nil {
			return h, err
		}
	}
	volumes := set.Drivers.Dir.Root
	if volumes == "" {
		volumes = set.under("volumes")
	}
	if h.config.Storages["dir"], err = dir.New(dir.Config{Root: volumes, Owner: owner}); err != nil {
		return h, err
	}
	if h.config.Router, err = router(ctx, set, owner, o.Serve); err != nil {
		return h, err
	}
	runtimes := h.config.Runtimes
	h.config.Prober = probe.New(func(tenant string) (drivers.Runtime, error) {
		name := h.config.DefaultRuntime
		if t := h.plan.Load().Tenant(tenant); t != nil && t.Runtime != "" {
			name = t.Runtime
		}
		if rt, ok := runtimes[name]; ok {
			return rt, nil
		}
		return nil, fmt.Errorf("tenant %s: no runtime %q on this host", tenant, name)
	})
	return h, nil
}

// Close gives the state directory back. What runs goes on running.
func (h *host) Close() error {
	var errs *multierror.Error
	for _, c := range slices.Backward(h.closers) {
		if err := c.Close(); err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	if h.store != nil {
		if err := h.store.Close(); err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	return errs.ErrorOrNil()
}

// defaultRuntime is what runs tenants whose plan names no runtime: the host's
// word, else Docker where the host configures it, else the embedded one.
func (s settings) defaultRuntime() string {
	switch {
	case s.Runtime != "":
		return s.Runtime
	case s.dockerSet:
		return "docker"
	}
	return "process"
}

// runtimes are those to look after: the default, what is configured, and what
// tenants name.
func (s settings) runtimes(plan *plans.Plan) []string {
	names := []string{s.defaultRuntime()}
	if s.dockerSet {
		names = append(names, "docker")
	}
	if s.processSet {
		names = append(names, "process")
	}
	for i := range plan.Tenants {
		if rt := plan.Tenants[i].Runtime; rt != "" {
			names = append(names, rt)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (h *host) runtime(name string, set settings, owner drivers.Owner, log *slog.Logger) (drivers.Runtime, error) {
	switch name {
	case "docker":
		rt, err := docker.New(docker.Config{Host: set.Drivers.Docker.Host, State: set.under("docker"), Owner: owner, Log: log})
		if err != nil {
			return nil, err
		}
		h.closers = append(h.closers, rt)
		return rt, nil
	case "process":
		root := set.Drivers.Process.Root
		if root == "" {
			root = set.under("process")
		}
		rt, err := process.New(process.Config{Root: root, Owner: owner, Keychain: authn.DefaultKeychain, Log: log})
		if err != nil {
			return nil, err
		}
		h.closers = append(h.closers, rt)
		return rt, nil
	}
	return nil, observed.Wrap("open runtime", name, observed.Refused, errors.New("there is no such runtime"), "use docker or process")
}

// adminSocket is where the proxy is told what to do.
func (s settings) adminSocket() string {
	if s.Drivers.Caddy.Admin != "" {
		return s.Drivers.Caddy.Admin
	}
	return s.under("caddy", "admin.sock")
}

func router(ctx context.Context, set settings, owner drivers.Owner, serve bool) (drivers.Router, error) {
	admin := set.adminSocket()
	if _, err := os.Stat(admin); err != nil && !serve {
		// Nothing was ever routed here: an empty table, which is what a first
		// pass would find.
		return mem.New(mem.Config{Now: time.Now}).Router(), nil
	}
	if serve {
		if err := startProxy(ctx, set, admin); err != nil {
			return nil, err
		}
	}
	return caddy.New(caddy.Config{Admin: admin, Proxy: "http://" + localAddress(set.Drivers.Caddy.Listen), Owner: owner})
}

// startProxy starts the proxy detached, or adopts the one that answers.
func startProxy(ctx context.Context, set settings, admin string) error {
	state := set.Drivers.Caddy.State
	if state == "" {
		state = set.under("caddy")
	}
	_, err := caddy.Start(ctx, caddy.Proxy{
		Binary: proxyBinary(set.Drivers.Caddy.Binary), Dir: state, Socket: admin, Listen: []string{set.Drivers.Caddy.Listen},
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
