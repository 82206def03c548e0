package agentworld

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

// lane is a template with a policy of its own, and what git says of it now.
type lane struct {
	template, policy string
	shape
	version, side int        // of the images in force
	idle          int        // of the named idle slot; 0: there is none
	active        plans.Slot // of named slots
	history       []int
}

// registry says how the instances of an image behave.
func (w *world) registry(ref string) mem.Image {
	name, _, _ := strings.Cut(ref[strings.LastIndex(ref, "/")+1:], "@")
	as := mem.Image{HealthyAfter: 2 * time.Second}
	switch kind, _, _ := strings.Cut(name, "-"); kind {
	case "sick":
		as.Sick = true
	case "late":
		as.SickAfter = 9 * time.Second
	case "slow":
		as.HealthyAfter = 14 * time.Second
	case "crash":
		as.Exits, as.Exit, as.Code = true, 500*time.Millisecond, 1
	case "job":
		as.Exit = 3 * time.Second
	}
	return as
}

func image(kind string, version int) string {
	name := fmt.Sprintf("%s-%d", kind, version)
	h := fnv.New64a()
	h.Write([]byte(name))
	return "registry.example.com/" + name + "@sha256:" + strings.Repeat(fmt.Sprintf("%016x", h.Sum64()), 4)
}

// firstPlan is one to five tenants of one or two templates and policies.
func (w *world) firstPlan(c Case) *plans.Plan {
	r := w.dice.Of("plan")
	p := &plans.Plan{Fleet: "f", Commit: "c0", Policies: map[string]plans.BatchPolicy{}}
	for _, name := range []string{"platform", "store"} {
		l := &lane{template: name, policy: "policy-" + name, shape: drawShape(r), active: plans.Blue}
		policy := drawPolicy(r, l.policy)
		shrink.Without(&l.shape, c.Without)
		if len(w.lanes) == 0 || w.lanes[0].Second {
			w.lanes = append(w.lanes, l)
			p.Policies[l.policy] = policy
		}
	}
	n := 1 + r.IntN(5)
	if c.Tenants > 0 {
		n = c.Tenants
	}
	for range n {
		w.come(p)
	}
	return p
}

func drawPolicy(r *rand.Rand, name string) plans.BatchPolicy {
	policy := plans.BatchPolicy{Name: name, BatchSize: 1 + r.IntN(2), MaxConsecutiveFailures: 1 + r.IntN(2),
		Parallelism: r.IntN(3), Bake: plans.Duration(r.IntN(2)) * 20 * plans.Second, HealthWithin: 60 * plans.Second}
	if r.IntN(2) == 0 {
		policy.Canary = &plans.Canary{Count: 1, Bake: plans.Duration(r.IntN(2)) * 30 * plans.Second}
	}
	if r.IntN(4) == 0 {
		policy.OnTrip = plans.Rollback
	}
	return policy
}

// come adds a tenant to a plan, to one of the lanes.
func (w *world) come(p *plans.Plan) {
	l := w.lanes[w.number%len(w.lanes)]
	name := fmt.Sprintf("t%02d", w.number)
	w.number++
	t := plans.Tenant{Name: name, Template: l.template, Policy: l.policy, Strategy: plans.BlueGreen,
		Routes: map[string]*plans.Route{"web": {Hosts: []string{name + ".example.com"}, Service: "app"}},
		Bake:   bake, Drain: 5 * plans.Second, Soak: plans.Soak{For: 300 * plans.Second}, Retention: retention}
	if l.Recreate {
		t.Strategy = plans.Recreate
	}
	if l.Volume != "" {
		v := plans.Volume{Source: "pool/" + name, OnUpgrade: l.Volume, Access: "many"}
		switch l.Volume {
		case plans.Replay:
			v.OnUpgrade, v.Writes = plans.Clone, plans.Replay
		case plans.Quiesce:
			v.OnUpgrade, v.Writes, v.OnBack, v.HoldLimit = plans.Clone, plans.Quiesce, l.OnBack, 30*plans.Second
		}
		t.Volumes = map[string]plans.Volume{"data": v}
	}
	p.Tenants = append(p.Tenants, t)
	w.says(p, l)
}

const bake = 10 * plans.Second

// retention is short, so that a run sees the end of what is kept.
var retention = plans.Retention{
	PreUpgrade: plans.Keep{For: 600 * plans.Second}, Discarded: plans.Keep{For: 600 * plans.Second}, Final: plans.Keep{For: 600 * plans.Second},
}

// successes is how many good answers in a row prove an instance, failures how many
// bad ones end that.
const (
	successes = 2
	failures  = 3
)

func health() *plans.Health {
	return &plans.Health{HTTP: &plans.HTTPProbe{Path: "/health"}, Interval: plans.Second, Successes: successes, Failures: failures, Within: 20 * plans.Second}
}

// says puts into a plan what a lane says: its tenants get its images, some a bad one.
func (w *world) says(p *plans.Plan, l *lane) {
	for i := range p.Tenants {
		t := &p.Tenants[i]
		if t.Template != l.template {
			continue
		}
		t.Release = fmt.Sprint("r", l.version, "-", l.side, "-", l.idle, l.active)
		t.Core = w.core(l, t.Name, l.version)
		t.Idle, t.ActiveSlot, t.Aside = nil, plans.NoSlot, map[string]plans.Service{}
		if l.Named {
			t.ActiveSlot = l.active
			if l.idle > 0 {
				idle := w.core(l, t.Name, l.idle)
				t.Idle = &idle
			}
		}
		if l.Sidecar {
			t.Aside["side"] = plans.Service{Image: image(w.kind(t.Name, l.side), l.side), Sidecar: true, Health: health()}
		}
	}
}

// core is the slot's part of a tenant in a version.
func (w *world) core(l *lane, tenant string, version int) plans.Core {
	app := plans.Service{Image: image(w.kind(tenant, version), version), Ports: map[string]int{"http": 8080}, Health: health()}
	if l.Volume != "" {
		app.Mounts = map[string]plans.Mount{"/data": {Volume: "data"}}
	}
	services := map[string]plans.Service{"app": app}
	if l.Job {
		services["migrate"] = plans.Service{Image: image("job", version), Job: &plans.Job{At: plans.BeforeSwitch, Timeout: 20 * plans.Second}}
	}
	return plans.Core{Services: services}
}

// kind is how a version behaves in a tenant.
func (w *world) kind(tenant string, version int) string {
	at := fmt.Sprint(tenant, "@", version)
	switch {
	case w.bad[at]:
		return []string{"sick", "late", "crash"}[version%3]
	case w.slow[at]:
		return "slow"
	}
	return "good"
}

// next has a lane say something new: another version of all, of the sidecar alone,
// or, where slots are named, in the idle slot, which is then flipped to.
func (w *world) next(l *lane) {
	w.version++
	for i := range w.plan.Tenants {
		at := fmt.Sprint(w.plan.Tenants[i].Name, "@", w.version)
		w.bad[at] = w.chance("Bad", w.o.Bad)
		w.slow[at] = w.chance("Slow", w.o.Slow)
	}
	r := w.dice.Of("next")
	n := r.IntN(4)
	switch {
	case l.Named && l.idle == 0:
		l.idle = w.version
	case l.Named && n == 0:
		l.idle = 0
	case l.Named:
		l.active, l.version, l.idle = l.active.Other(), l.idle, l.version
	case l.Sidecar && n == 0:
		l.side = w.version
	default:
		l.version = w.version
		if !slices.Contains(l.history, l.version) {
			l.history = append(l.history, l.version)
		}
	}
}

// some is one of the lanes.
func (w *world) some() *lane { return w.lanes[w.dice.Of("lane").IntN(len(w.lanes))] }
