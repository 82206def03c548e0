package main

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"slices"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/drivers/keychain"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// closingRuntime is a runtime that holds something open.
type closingRuntime interface {
	drivers.Runtime
	io.Closer
}

// defaultRuntime is what runs tenants whose plan names no runtime: the host's
// word, else Docker where the host configures it, else the embedded one.
func (s settings) defaultRuntime() string {
	if s.dockerSet {
		return cmp.Or(s.Runtime, "docker")
	}
	return cmp.Or(s.Runtime, "process")
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

func openRuntime(name string, set settings, owner drivers.Owner, keepFree int64, log *slog.Logger) (closingRuntime, error) {
	switch name {
	case "docker":
		return docker.New(docker.Config{Host: set.Drivers.Docker.Host, State: set.place("", "docker"), Owner: owner,
			KeepFree: keepFree, Keychain: keychain.File(set.Drivers.Docker.Credentials), Log: log})
	case "process":
		root := set.place(set.Drivers.Process.Root, "process")
		return process.New(process.Config{Root: root, Owner: owner,
			KeepFree: keepFree, Keychain: keychain.File(set.Drivers.Process.Credentials), Log: log})
	}
	return nil, observed.Wrap("open runtime", name, observed.Refused, errors.New("there is no such runtime"), "use docker or process")
}
