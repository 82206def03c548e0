package reconcile_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// tenant makes a plan's tenant of a story's words:
//
//	app=v1 worker=w1 side=s1 db=d1   images of services
//	before=m1 migrate=m1 after=m1    jobs at beforeStart, beforeSwitch, afterSwitch
//	data=clone:quiesce:stay[:driver] a volume the app writes to; freeze=ID volatile many quota=1G import=SOURCE
//	logs=clone:quiesce:stay[:driver] another one, named after data
//	shared-data=snapshot             a volume db writes to, with freeze=ID after it
//	keeps=7d:3:24h                   retention preUpgrade:discarded:final, each an age or a count
//	publish=5432                     a port of app that is reached past the routes
//	recreate active=blue idle=v2 routes=a.test,b.test routes=none
//	bake=20s soak=1h keep=running retire=decision hold=reason until=1h removed
func tenant(t *testing.T, words []string) *plans.Tenant {
	p := &plans.Tenant{Name: "acme", Node: "n1", Strategy: plans.BlueGreen, Bake: 10 * plans.Second,
		Drain: 5 * plans.Second, Soak: plans.Soak{For: 3600 * plans.Second},
		Core: plans.Core{Services: map[string]plans.Service{}}, Aside: map[string]plans.Service{}}
	hosts := "acme.test"
	mounts := map[string]plans.Mount{}
	probe := &plans.Health{HTTP: &plans.HTTPProbe{Path: "/"}}
	idle := ""
	duration := func(s string) plans.Duration {
		d, err := plans.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, word := range words {
		key, v, _ := strings.Cut(word, "=")
		core := p.Core.Services
		switch key {
		case "app":
			core["app"] = plans.Service{Image: "app@" + v, Ports: map[string]int{"http": 80}, Mounts: mounts, Health: probe,
				EnvFrom: nil}
		case "plain":
			core["plain"] = plans.Service{Image: "plain@" + v}
		case "api":
			core["api"] = plans.Service{Image: "api@" + v, After: []string{"app"}, Health: probe}
		case "once":
			core["once"] = plans.Service{Image: "once@" + v, Restart: "never", Health: probe}
		case "worker":
			core["worker"] = plans.Service{Image: "worker@" + v, Active: "whenRouted", Health: probe}
		case "before":
			core["before"] = plans.Service{Image: "job@" + v, Job: &plans.Job{At: plans.BeforeStart}}
		case "migrate":
			core["migrate"] = plans.Service{Image: "job@" + v, After: []string{"app"}, Job: &plans.Job{At: plans.BeforeSwitch, Timeout: duration("30s")}}
		case "publish": // a port of app
			port, _ := strconv.Atoi(v)
			s := core["app"]
			s.Publish = []plans.Publish{{Port: port, Container: 5432}}
			core["app"] = s
		case "prime":
			core["prime"] = plans.Service{Image: "job@" + v, After: []string{"app"}, Job: &plans.Job{At: plans.BeforeStart}}
		case "after":
			core["after"] = plans.Service{Image: "job@" + v, Job: &plans.Job{At: plans.AfterSwitch}}
		case "side":
			p.Aside["side"] = plans.Service{Image: "side@" + v, Sidecar: true, Health: probe}
		case "db":
			p.Aside["db"] = plans.Service{Image: "db@" + v, Scope: "tenant", Health: probe, Ports: map[string]int{"sql": 5432}}
		case "file":
			s := core["app"]
			s.EnvFrom = []plans.HostFile{{File: v, Version: "1"}}
			core["app"] = s
		case "data":
			f := append(strings.Split(v, ":"), "", "", "", "")
			p.Volumes = map[string]plans.Volume{"data": {OnUpgrade: f[0], Writes: f[1], OnBack: f[2], Driver: f[3], Source: f[4]}}
			mounts["/data"] = plans.Mount{Volume: "data"}
		case "logs":
			f := append(strings.Split(v, ":"), "", "", "", "")
			p.Volumes["logs"] = plans.Volume{OnUpgrade: f[0], Writes: f[1], OnBack: f[2], Driver: f[3], Source: f[4]}
			mounts["/logs"] = plans.Mount{Volume: "logs"}
		case "rehearse":
			d := p.Volumes["data"]
			d.Rehearse = true
			p.Volumes["data"] = d
		case "limit":
			d := p.Volumes["data"]
			d.HoldLimit = duration(v)
			p.Volumes["data"] = d
		case "freeze":
			d := p.Volumes["data"]
			service := "app"
			if len(mounts) == 0 {
				service = "db"
			}
			d.Freeze = &plans.Hook{Service: service, Command: []string{"checkpoint", v}, Thaw: []string{"resume"}, Timeout: duration("20s")}
			p.Volumes["data"] = d
		case "quota":
			d := p.Volumes["data"]
			d.Quota = v
			p.Volumes["data"] = d
		case "volatile":
			d := p.Volumes["data"]
			d.Volatile = true
			p.Volumes["data"] = d
		case "import":
			d := p.Volumes["data"]
			d.Import, d.Source = true, v
			p.Volumes["data"] = d
		case "many":
			d := p.Volumes["data"]
			d.Access = "many"
			p.Volumes["data"] = d
		case "keeps": // preUpgrade, discarded, final; each FOR or COUNT
			var rules [3]plans.Keep
			for i, rule := range strings.Split(v, ":") {
				if n, err := strconv.Atoi(rule); err == nil {
					rules[i].Count = n
				} else {
					rules[i].For = duration(rule)
				}
			}
			p.Retention = plans.Retention{PreUpgrade: rules[0], Discarded: rules[1], Final: rules[2]}
		case "shared-data":
			p.Volumes = map[string]plans.Volume{"data": {OnUpgrade: v}}
			db := p.Aside["db"]
			db.Mounts = map[string]plans.Mount{"/data": {Volume: "data"}}
			p.Aside["db"] = db
		case "within":
			probe.Within = duration(v)
		case "stop":
			s := core["app"]
			s.StopTimeout = duration(v)
			core["app"] = s
		case "recreate":
			p.Strategy = plans.Recreate
		case "overlap":
			p.Overlap = true
		case "active":
			p.ActiveSlot = plans.Slot(v)
		case "idle":
			idle = v
		case "routes":
			hosts = v
		case "bake":
			p.Bake = duration(v)
		case "soak":
			p.Soak.For = duration(v)
		case "keep":
			p.Soak.Keep = v
		case "retire":
			p.Retire = v
		case "hold":
			p.Hold = &plans.HoldWord{Reason: v}
		case "until":
			p.Hold.Until = start.Add(time.Duration(duration(v)))
		case "removed":
			p.Removed = true
		case "node":
			p.Node = v
		case "formerly":
			p.Formerly = v
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	if hosts != "none" {
		p.Routes = map[string]*plans.Route{"web": {Hosts: strings.Split(hosts, ","), Service: "app"}}
	}
	if idle != "" {
		services := map[string]plans.Service{}
		for name, s := range plans.Sorted(p.Core.Services) {
			services[name] = s
		}
		s := services["app"]
		s.Image = "app@" + idle
		services["app"] = s
		p.Idle = &plans.Core{Services: services}
	}
	return p
}
