package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
)

// Name is the tenant of a run.
const Name = "acme"

// Shape is what does not change about a run's tenant.
type Shape struct {
	Recreate bool
	Routes   bool
	Overlap  bool
	Named    bool   // the plan names the active slot
	Volume   string // mode of its one volume; "" is none
	OnBack   string
	Several  bool // releases often change several services at once
	Rehearse bool
	Keep     string
	API      bool // a second service after the first
	Worker   bool // a service of the routed slot only
	Sidecar  bool
	Shared   bool // a tenant-scoped service
	Before   bool // a job before the start
	Migrate  bool // a job before the switch
	After    bool // a job after it
	Engine   bool // the runtime restarts instances by itself
}

// Word is what the plan says of the tenant at one moment.
type Word struct {
	Gone    bool // the plan does not name it
	Removed bool
	Hold    bool
	App     string // image of the app: KIND-NUMBER
	Job     string // of its jobs
	Side    string // of the sidecar
	DB      string // of the tenant-scoped service
	Idle    string // of the app in the named idle slot; "" is none
	Active  plans.Slot
	Hosts   int    // how many host names lead to it
	Quota   string // of its volume
}

// Probe settings of every service, and the limits of the plan. They are short,
// so that a run of some hundred steps sees the ends of all of them.
const (
	interval  = 2 * plans.Second
	successes = 2
	failures  = 3
	within    = 30 * plans.Second
	bake      = 20 * plans.Second
	drain     = 10 * plans.Second
	soak      = 120 * plans.Second
	holdLimit = 30 * plans.Second
)

// retention is short, so that a run sees the end of what was given up.
var retention = plans.Retention{
	PreUpgrade: plans.Keep{For: 150 * plans.Second}, Discarded: plans.Keep{For: 100 * plans.Second, Count: 1}, Final: plans.Keep{For: 120 * plans.Second},
}

// tenant is the plan's word as the step gets it; nil if the plan has none.
func (s Shape) tenant(w Word) *plans.Tenant {
	if w.Gone {
		return nil
	}
	t := &plans.Tenant{
		Name: Name, Strategy: plans.BlueGreen, Overlap: s.Overlap, Bake: bake, Drain: drain,
		Soak: plans.Soak{For: soak, Keep: s.Keep}, Removed: w.Removed, Retention: retention,
		Core: s.core(w.App, w.Job), Aside: map[string]plans.Service{},
	}
	if s.Recreate {
		t.Strategy = plans.Recreate
	}
	if w.Hold {
		t.Hold = &plans.HoldWord{Reason: "a person looks at it"}
	}
	if s.Named {
		t.ActiveSlot = w.Active
		if w.Idle != "" {
			idle := s.core(w.Idle, w.Job)
			t.Idle = &idle
		}
	}
	if s.Sidecar {
		t.Aside["side"] = plans.Service{Image: image("side", w.Side), Sidecar: true, Health: health()}
	}
	if s.Shared {
		t.Aside["db"] = plans.Service{Image: image("db", w.DB), Scope: "tenant", Ports: map[string]int{"sql": 5432}, Health: health()}
	}
	if s.Routes {
		t.Routes = map[string]*plans.Route{}
		for n := range w.Hosts {
			t.Routes[fmt.Sprintf("r%d", n)] = &plans.Route{Hosts: []string{fmt.Sprintf("h%d.test", n)}, Service: "app"}
		}
	}
	if s.Volume != "" {
		v := plans.Volume{Source: "pool/" + Name, OnUpgrade: s.Volume, Access: "many", Quota: w.Quota}
		switch s.Volume {
		case plans.Replay:
			v.OnUpgrade, v.Writes = plans.Clone, plans.Replay
		case plans.Quiesce:
			v.OnUpgrade, v.Writes, v.OnBack, v.Rehearse, v.HoldLimit = plans.Clone, plans.Quiesce, s.OnBack, s.Rehearse, holdLimit
		}
		t.Volumes = map[string]plans.Volume{"data": v}
	}
	return t
}

// core is the slot-scoped part with the given image of the app.
func (s Shape) core(app, job string) plans.Core {
	mounts := map[string]plans.Mount{}
	if s.Volume != "" {
		mounts["/data"] = plans.Mount{Volume: "data"}
	}
	services := map[string]plans.Service{
		"app": {Image: image("app", app), Ports: map[string]int{"http": 8080}, Mounts: mounts, Health: health(),
			Env: map[string]string{"SLOT": "{{slot}}"}},
	}
	if s.API {
		services["api"] = plans.Service{Image: image("api", "good-1"), After: []string{"app"}, Health: health()}
	}
	if s.Worker {
		services["worker"] = plans.Service{Image: image("worker", "good-1"), Mounts: mounts, Active: "whenRouted", Health: health()}
	}
	for name, at := range map[string]string{"before": plans.BeforeStart, "migrate": plans.BeforeSwitch, "after": plans.AfterSwitch} {
		if name == "before" && s.Before || name == "migrate" && s.Migrate || name == "after" && s.After {
			services[name] = plans.Service{Image: image(name, job), Job: &plans.Job{At: at, Timeout: 20 * plans.Second}}
		}
	}
	return plans.Core{Services: services}
}

func health() *plans.Health {
	return &plans.Health{
		HTTP: &plans.HTTPProbe{Path: "/health"}, Interval: interval, Timeout: plans.Second,
		Successes: successes, Failures: failures, Within: within,
	}
}

// image is the reference of a service's image of a kind.
func image(service, kind string) string { return service + "@" + service + "-" + kind }

// registry says how the instances of an image behave, by the kind in its name.
func registry(ref string) mem.Image {
	_, digest, _ := strings.Cut(ref, "@")
	service, rest, _ := strings.Cut(digest, "-")
	kind, number, _ := strings.Cut(rest, "-")
	job := service == "before" || service == "migrate" || service == "after"
	as := mem.Image{HealthyAfter: time.Second}
	if job {
		as.Exit = 3 * time.Second
	}
	if number != "" && number[0]%2 == 0 {
		as.HealthyAfter = 4 * time.Second
	}
	switch kind {
	case "slow":
		as.HealthyAfter = 15 * time.Second
	case "sick":
		as.Sick = true
	case "late": // passes its gate and fails in its bake
		as.SickAfter = 14 * time.Second
	case "crash":
		as.Exits, as.Exit, as.Code = true, 500*time.Millisecond, 1
	case "missing":
		as.Missing = true
	case "platform":
		as.OtherPlatform = true
	case "bad": // of a job
		as.Code = 3
	case "hang":
		as.Exit = 100 * time.Hour
	}
	return as
}

// Kinds of images a plan may name, for an app and for its jobs.
var (
	badApps = []string{"sick", "late", "crash", "missing", "platform"}
	badJobs = []string{"bad", "hang"}
)

// drawShape draws a tenant.
func drawShape(r *rand.Rand) Shape {
	maybe := func(n int) bool { return r.IntN(n) == 0 }
	s := Shape{
		Recreate: maybe(4), Routes: !maybe(6), Overlap: maybe(2), Named: maybe(4),
		Keep: []string{"", "running"}[r.IntN(2)], API: maybe(3), Worker: maybe(3), Sidecar: maybe(3),
		Shared: maybe(4), Before: maybe(4), Migrate: maybe(3), After: maybe(4), Engine: !maybe(3),
	}
	if maybe(2) {
		s.Volume = []string{plans.Share, plans.Snapshot, plans.Replay, plans.Quiesce, plans.Quiesce, plans.Fresh}[r.IntN(6)]
		s.OnBack = []string{plans.Stay, plans.Carry, plans.Discard}[r.IntN(3)]
		s.Rehearse = maybe(2)
	}
	return s
}
