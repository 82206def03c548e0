package reconcile_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// wave is a fleet of tenants so simple that a story can say everything of them:
// let go, each is on its way for a minute and is then done, or failed and back.
type wave struct {
	t        testing.TB
	now      time.Time
	commit   string
	policies map[string]plans.BatchPolicy
	fleet    []*puppet // in plan order
	bad      map[string]bool
	runs     *reconcile.Rollouts
	answers  map[string]string
	stored   map[string]reconcile.Rollout
	attempts map[string]int
	members  map[string]map[string]reconcile.RolloutMember
	events   []reconcile.Event
	peak     int // most tenants ever on their way at once
}

// puppet is one tenant.
type puppet struct {
	want     *plans.Tenant
	target   plans.Target
	permit   reconcile.Permit
	report   reconcile.Report
	at       plans.Target // reached
	release  string
	withheld map[plans.Target]string
	until    time.Time // on its way until then
	to       plans.Target
	brings   string // the release of to
	back     bool
	was      plans.Target // before it was moved, and what it goes back to
	ran      string       // the release of was
	oneWay   bool         // it would have no way back from where it was moved to
	held     bool
	blind    bool
	degraded bool
	unwell   string // as it was seen last at rest
	log      string // its last output, where it fails or is not well
	stuck    bool   // has no way back
	relapses bool   // its way back fails
	flaps    bool   // starts again and again
	outage   bool   // waits for a registry that is down
}

func newWave(t testing.TB) *wave {
	return &wave{t: t, now: start, commit: "c1", policies: map[string]plans.BatchPolicy{}, bad: map[string]bool{},
		runs: reconcile.NewRollouts("n1"), answers: map[string]string{}, stored: map[string]reconcile.Rollout{}, attempts: map[string]int{},
		members: map[string]map[string]reconcile.RolloutMember{}}
}

func (w *wave) add(name string, labels map[string]string, policy, release string, running bool) *puppet {
	p := &puppet{want: &plans.Tenant{Name: name, Labels: labels, Policy: policy, Template: "platform", Release: release},
		withheld: map[plans.Target]string{}}
	p.target = plans.Target{Core: "g1:" + release}
	if running {
		p.at, p.release = p.target, release
	}
	w.fleet = append(w.fleet, p)
	return p
}

func (w *wave) puppet(name string) *puppet {
	for _, p := range w.fleet {
		if p.want.Name == name {
			return p
		}
	}
	w.t.Fatalf("no tenant %s", name)
	return nil
}

// wants moves the plan of all tenants to a release: of their core, of what is
// beside it, or by a flip to the slot it names.
func (w *wave) wants(release, of string) {
	for _, p := range w.fleet {
		t := *p.want
		t.Release = release
		p.want = &t
		switch of {
		case "beside":
			p.target.Aside = "a1:" + release
		case "flip":
			p.target.Active, p.target.Core, p.target.Idle = p.target.Active.Other(), cmp.Or(p.target.Idle, p.target.Core), p.target.Core
		default:
			p.target = plans.Target{Core: "g1:" + release}
		}
	}
}

func (w *wave) plan() { w.runs.Plan(w.spec()) }

func (w *wave) spec() reconcile.RolloutPlan {
	p := reconcile.RolloutPlan{Commit: w.commit, Policies: w.policies}
	for _, t := range w.fleet {
		p.Tenants = append(p.Tenants, reconcile.RolloutTenant{Want: t.want, Target: t.target})
	}
	return p
}

// speak is a tenant's step.
func (p *puppet) speak(now time.Time, bad func(release string) bool) reconcile.Report {
	obeys := p.permit.Target == p.target
	reason := p.withheld[p.target]
	if obeys && p.until.IsZero() && !p.blind {
		switch {
		case p.permit.Retry && reason != "":
			delete(p.withheld, p.target)
		case p.permit.Back && p.stuck:
		case p.permit.Back && reason == "" && p.at == p.target:
			p.withheld[p.target] = reconcile.RolledBack
			p.until, p.to, p.back = now.Add(5*time.Second), p.target, true
		case p.permit.Withhold != "" && !p.permit.Back && reason == "":
			p.withheld[p.target] = p.permit.Withhold
		}
	}
	if p.outage && !p.until.IsZero() && !p.back {
		p.until = now.Add(time.Minute) // nothing of it goes on
	}
	if !p.until.IsZero() && !now.Before(p.until) {
		switch {
		case p.back && p.relapses:
		case p.back:
			p.at, p.release = p.was, p.ran
		case bad(p.brings):
			p.withheld[p.to] = reconcile.Failed
		default:
			p.was, p.ran = p.at, p.release
			p.at, p.release = p.to, p.brings // whatever the plan says since
		}
		p.until, p.back = time.Time{}, false
	}
	reason = p.withheld[p.target]
	if p.until.IsZero() && obeys && p.permit.Go && !p.permit.Back && p.at != p.target && reason == "" && !p.held && !p.blind {
		p.until, p.to, p.brings = now.Add(time.Minute), p.target, p.want.Release
	}
	r := reconcile.Report{Tenant: p.want.Name, Target: p.target, Reached: p.at, Release: p.release, Generation: p.at.Core,
		Op: reconcile.Replace, Done: p.at == p.target && p.until.IsZero(), InMotion: !p.until.IsZero(), State: reconcile.Converged}
	r.ToTarget = r.InMotion && p.to == p.target
	switch {
	case p.blind:
		r.State = reconcile.Unknown
	case p.outage && r.InMotion:
		r.State, r.Why = reconcile.Unknown, "the registry does not answer; nobody's release is to blame"
	case p.flaps:
		r.State, r.Reason, r.Why = reconcile.HeldBack, reconcile.Flapping, "it was started 6 times in 5m0s"
	case r.InMotion:
		r.State = reconcile.Progressing
	case p.held:
		r.State, r.Why = reconcile.Held, "a person holds it"
	case reason != "" && !r.Done:
		r.State, r.Reason, r.Why = reconcile.HeldBack, reason, "it is held back here: it answered 500"
	case p.degraded:
		r.State, r.Why = reconcile.Degraded, "it answers 503"
	case !r.Done:
		r.State = reconcile.Waiting
	}
	switch resting := p.until.IsZero() && p.at != (plans.Target{}); {
	case resting && !p.blind && p.degraded:
		p.unwell = "it answers 503"
	case resting && !p.blind:
		p.unwell = ""
	}
	if p.until.IsZero() {
		r.Unwell = p.unwell // blind, it is as it was seen last
	}
	if r.Unwell != "" {
		r.UnwellLog = p.log
	}
	if obeys && p.permit.Back && p.stuck && p.at == p.target && p.until.IsZero() && !p.blind {
		r.NoWayBack = "the version it came from is not kept"
	}
	if p.relapses && reason == reconcile.RolledBack && r.Done {
		r.BackFailed = "it answered 500"
	}
	if p.oneWay && p.at == p.target && p.until.IsZero() {
		r.OneWay = "what it ran before is not on record"
	}
	if reason != "" {
		r.Failed, r.Restored, r.FailedBy = true, p.until.IsZero(), "it answered 500"
		r.Problem = &observed.Problem{Op: "verify", Class: observed.Refused, Text: r.Why, Log: p.log}
	}
	return r
}

// settle lets everybody speak and decides until nothing changes any more.
func (w *wave) settle() {
	for range 100000 {
		moved := false
		for _, p := range w.fleet {
			r := p.speak(w.now, func(release string) bool { return w.bad[release] || w.bad[p.want.Name+"@"+release] })
			if !sameReport(r, p.report) {
				p.report, moved = r, true
				w.runs.Hear(&r)
			}
		}
		if !w.runs.Due(w.now) {
			if !moved {
				return
			}
			continue
		}
		w.take(w.runs.Decide(w.now, w.answers))
		busy := 0
		for _, p := range w.fleet {
			if !p.until.IsZero() {
				busy++
			}
		}
		w.peak = max(w.peak, busy)
		w.again()
	}
	w.t.Fatal("the rollouts find no rest")
}

func sameReport(a, b reconcile.Report) bool {
	return a.State == b.State && a.Reason == b.Reason && a.Target == b.Target && a.Done == b.Done && a.Failed == b.Failed &&
		a.InMotion == b.InMotion && a.ToTarget == b.ToTarget && a.Restored == b.Restored && a.Reached == b.Reached && a.Why == b.Why &&
		a.Unwell == b.Unwell && a.NoWayBack == b.NoWayBack && a.OneWay == b.OneWay && a.BackFailed == b.BackFailed
}

// berlin has the rules of Europe/Berlin for 2026, by hand.
var berlin = &plans.Zone{Name: "Europe/Berlin", Changes: []plans.ZoneChange{
	{At: time.Date(2025, 10, 26, 1, 0, 0, 0, time.UTC).Unix(), Offset: 3600, Abbr: "CET"},
	{At: time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC).Unix(), Offset: 7200, Abbr: "CEST"},
	{At: time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC).Unix(), Offset: 3600, Abbr: "CET"},
}}

// answerAll gives the same answer to whatever the rollouts ask.
func (w *wave) answerAll(pick func(answers []string) string) {
	for _, r := range w.runs.List() {
		if q := r.Question(); q != nil {
			w.answers[q.ID] = pick(slices.Sorted(maps.Keys(q.Answers)))
		}
	}
	w.runs.Answered()
}

// take writes down a delta and hands out its permits.
func (w *wave) take(d reconcile.RolloutDelta) {
	w.events = append(w.events, d.Events...)
	maps.Copy(w.attempts, d.Attempts)
	for _, r := range d.Dropped {
		delete(w.stored, r.ID)
		delete(w.members, r.ID)
	}
	for _, r := range d.Rollouts {
		w.stored[r.ID] = r
	}
	for _, m := range d.Members {
		if w.members[m.Rollout] == nil {
			w.members[m.Rollout] = map[string]reconcile.RolloutMember{}
		}
		w.members[m.Rollout][m.Tenant] = m.RolloutMember
	}
	for _, p := range d.Permits {
		w.puppet(p.Tenant).permit = p.Permit
	}
}

// reborn is the machine made anew from what is written down, and has heard what
// every tenant said last.
func (w *wave) reborn() *reconcile.Rollouts {
	n := w.restored()
	for _, p := range w.fleet {
		if p.report.State != "" {
			heard := p.report
			n.Hear(&heard)
		}
	}
	return n
}

// restored is it before it heard anybody.
func (w *wave) restored() *reconcile.Rollouts {
	n := reconcile.NewRollouts("n1")
	for _, id := range slices.Sorted(maps.Keys(w.stored)) {
		n.Restore(w.stored[id], slices.Collect(maps.Values(w.members[id])))
	}
	for base, times := range w.attempts {
		n.Attempted(base, times)
	}
	n.Plan(w.spec())
	return n
}

// again compares with a recompute from scratch: from what is written down, what
// is wanted and what was said last, nothing else comes out.
func (w *wave) again() {
	w.t.Helper()
	n := w.reborn()
	d := n.Decide(w.now, w.answers)
	for _, e := range d.Events {
		w.t.Fatalf("at %s from scratch: %s: %s", w.now.Sub(start), e.Kind, e.Text)
	}
	if !d.Wake.Equal(w.runs.Next()) {
		w.t.Fatalf("at %s from scratch it wakes at %s, not %s: %v\n%v", w.now.Sub(start), d.Wake, w.runs.Next(), n.List()[:1], w.runs.List()[:1])
	}
	permits := map[string]reconcile.Permit{}
	for _, p := range d.Permits {
		permits[p.Tenant] = p.Permit
	}
	for _, p := range w.fleet {
		if permits[p.want.Name] != p.permit {
			w.t.Fatalf("at %s from scratch %s may %+v, not %+v", w.now.Sub(start), p.want.Name, permits[p.want.Name], p.permit)
		}
	}
	for _, r := range d.Rollouts {
		if fmt.Sprint(r.Summary, r.Phase, r.Batch, r.Gate.For, r.Gate.Why) != fmt.Sprint(w.stored[r.ID].Summary, w.stored[r.ID].Phase, w.stored[r.ID].Batch, w.stored[r.ID].Gate.For, w.stored[r.ID].Gate.Why) {
			w.t.Fatalf("from scratch %+v, not %+v", r, w.stored[r.ID])
		}
	}
}

// run lets time pass.
func (w *wave) run(d time.Duration) {
	end := w.now.Add(d)
	for {
		w.settle()
		next := end
		for _, p := range w.fleet {
			if !p.until.IsZero() && !p.outage && p.until.Before(next) {
				next = p.until
			}
		}
		if at := w.runs.Next(); !at.IsZero() && at.Before(next) {
			next = at
		}
		if !next.After(w.now) {
			if next.Before(end) {
				w.t.Fatalf("at %s: asks for a decision at once and does nothing", w.now.Sub(start))
			}
			w.now = end
			return
		}
		w.now = next
		if !w.now.Before(end) {
			w.settle()
			return
		}
	}
}
