package fleet

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Mutant is a machine with one deliberate mistake, and the rule that has to catch
// it. The checkers are only worth what they catch.
type Mutant struct {
	Name   string
	Rule   string
	Make   func() Machine
	Within int // seeds it must be caught in
}

// bent is the machine with some of its doors bent.
type bent struct {
	*reconcile.Rollouts
	plan    func(*reconcile.RolloutPlan)
	planned func(reconcile.RolloutPlan)
	hear    func(*reconcile.Report) bool // false: not heard
	answers func(*bent, map[string]string) map[string]string
	decided func(*bent, *reconcile.RolloutDelta)
	restore func(*reconcile.Rollout, []reconcile.RolloutMember) bool
	counts  func() bool
	skip    func(time.Duration) time.Duration
	next    func(time.Time) time.Time
	last    reconcile.RolloutPlan
	asked   map[string]*reconcile.Question
	heard   map[string]bool
}

func (b *bent) Plan(p reconcile.RolloutPlan) {
	if b.plan != nil {
		policies := map[string]plans.BatchPolicy{}
		for k, v := range p.Policies {
			policies[k] = v
		}
		p.Policies, p.Tenants = policies, slices.Clone(p.Tenants)
		b.plan(&p)
	}
	b.last = p
	b.Rollouts.Plan(p)
	if b.planned != nil {
		b.planned(p)
	}
}

func (b *bent) Hear(r *reconcile.Report) {
	b.heard[r.Tenant] = true
	heard := *r
	if b.hear == nil || b.hear(&heard) {
		b.Rollouts.Hear(&heard)
	}
}

func (b *bent) Restore(r reconcile.Rollout, m []reconcile.RolloutMember) {
	if b.restore == nil || b.restore(&r, m) {
		b.Rollouts.Restore(r, m)
	}
}

func (b *bent) Attempted(base string, times int) {
	if b.counts == nil || b.counts() {
		b.Rollouts.Attempted(base, times)
	}
}

func (b *bent) Skip(d time.Duration) {
	if b.skip != nil {
		d = b.skip(d)
	}
	b.Rollouts.Skip(d)
}

func (b *bent) Next() time.Time {
	n := b.Rollouts.Next()
	if b.next != nil {
		n = b.next(n)
	}
	return n
}

func (b *bent) Decide(now time.Time, answers map[string]string) reconcile.RolloutDelta {
	if b.answers != nil {
		answers = b.answers(b, answers)
	}
	d := b.Rollouts.Decide(now, answers)
	for i := range d.Rollouts {
		b.asked[d.Rollouts[i].ID] = d.Rollouts[i].Question()
	}
	if b.decided != nil {
		b.decided(b, &d)
	}
	return d
}

func bend(how func(*bent)) func() Machine {
	return func() Machine {
		b := &bent{Rollouts: reconcile.NewRollouts("node"), asked: map[string]*reconcile.Question{}, heard: map[string]bool{}}
		how(b)
		return b
	}
}

// policies alters all policies.
func policies(how func(*plans.BatchPolicy)) func() Machine {
	return bend(func(b *bent) {
		b.plan = func(p *reconcile.RolloutPlan) {
			for name := range p.Policies {
				v := p.Policies[name]
				if c := v.Canary; c != nil {
					copied := *c
					v.Canary = &copied
				}
				how(&v)
				p.Policies[name] = v
			}
		}
	})
}

// reports alters what is heard.
func reports(how func(*reconcile.Report) bool) func() Machine {
	return bend(func(b *bent) { b.hear = how })
}

// deltas alters what is decided.
func deltas(how func(*bent, *reconcile.RolloutDelta)) func() Machine {
	return bend(func(b *bent) { b.decided = how })
}

// members alters what is written of members.
func members(how func(*reconcile.RolloutMember)) func() Machine {
	return deltas(func(_ *bent, d *reconcile.RolloutDelta) {
		for i := range d.Members {
			how(&d.Members[i].RolloutMember)
		}
	})
}

// Mutants are the mistakes that are tried.
var Mutants = []Mutant{
	{"takes no motion for one to the target", "S3", reports(func(r *reconcile.Report) bool { r.ToTarget = false; return true }), 500},
	{"forgets the canary", "S3", policies(func(p *plans.BatchPolicy) { p.Canary = nil }), 300},
	{"makes batches twice as large", "S3", policies(func(p *plans.BatchPolicy) { p.BatchPct, p.BatchSize = 0, 2*p.Size(6) }), 300},
	{"does not bake", "S3", policies(func(p *plans.BatchPolicy) {
		p.Bake = 0
		if p.Canary != nil {
			p.Canary.Bake = 0
		}
	}), 200},
	{"does not bake the canary", "S3", policies(func(p *plans.BatchPolicy) {
		if p.Canary != nil {
			p.Canary.Bake = 0
		}
	}), 500},
	{"ignores the stagger", "S3", policies(func(p *plans.BatchPolicy) { p.Stagger = 0 }), 200},
	{"ignores the parallelism", "S3", policies(func(p *plans.BatchPolicy) { p.Parallelism = 0 }), 500},
	{"mixes rings", "S8", policies(func(p *plans.BatchPolicy) { p.Rings = nil }), 1000},
	{"lets one failure more pass", "breaker", policies(func(p *plans.BatchPolicy) { p.MaxConsecutiveFailures = p.Failures() + 1 }), 500},
	{"never trips", "breaker", policies(func(p *plans.BatchPolicy) { p.MaxConsecutiveFailures, p.MaxFailureRatio = 1000, 0 }), 300},
	{"ignores the ratio", "breaker", policies(func(p *plans.BatchPolicy) { p.MaxFailureRatio = 0 }), 1000},
	{"ignores the floor", "floor", policies(func(p *plans.BatchPolicy) { p.MinHealthy = "" }), 1000},
	{"takes the unseen for healthy", "floor", reports(func(r *reconcile.Report) bool {
		if r.State == reconcile.Unknown && !r.InMotion && r.Unwell == "" {
			if r.State = reconcile.Waiting; r.Done {
				r.State = reconcile.Converged
			}
		}
		return true
	}), 1000},
	{"bakes what it does not see", "S3", reports(func(r *reconcile.Report) bool {
		if r.State == reconcile.Unknown && r.Done && !r.InMotion {
			r.State = reconcile.Converged
		}
		return true
	}), 1000},
	{"takes the unseen for broken", "floor", reports(func(r *reconcile.Report) bool {
		if r.State == reconcile.Unknown && !r.InMotion {
			r.Unwell = "it cannot be seen"
		}
		return true
	}), 1000},
	{"forgets who was broken when it is not seen", "floor", reports(func(r *reconcile.Report) bool {
		if r.State == reconcile.Unknown {
			r.Unwell = ""
		}
		return true
	}), 3000},
	{"ignores the windows", "window", policies(func(p *plans.BatchPolicy) { p.Windows = nil }), 300},
	{"ignores frozen days", "window", policies(func(p *plans.BatchPolicy) { p.Freeze = nil }), 300},
	{"moves in another order", "S8", bend(func(b *bent) {
		b.plan = func(p *reconcile.RolloutPlan) { slices.Reverse(p.Tenants) }
	}), 200},
	{"takes unknown for well", "sums", reports(func(r *reconcile.Report) bool {
		if r.State == reconcile.Unknown {
			r.State, r.Done, r.InMotion = reconcile.Converged, true, false
		}
		return true
	}), 500},
	{"takes failed for done", "sums", reports(func(r *reconcile.Report) bool {
		if r.Failed && !r.InMotion {
			r.State, r.Reason, r.Failed, r.Done = reconcile.Converged, "", false, true
		}
		return true
	}), 500},
	{"counts the held as failed", "sums", reports(func(r *reconcile.Report) bool {
		if r.State == reconcile.Held {
			r.State, r.Reason, r.Failed = reconcile.HeldBack, reconcile.Failed, true
		}
		return true
	}), 1000},
	{"does not hear of the unwell", "S3", reports(func(r *reconcile.Report) bool {
		if r.State == reconcile.Degraded && r.Done {
			r.State, r.Unwell = reconcile.Converged, ""
		}
		return true
	}), 2000},
	{"does not hear of failures", "L1", reports(func(r *reconcile.Report) bool { return !r.Failed || r.InMotion }), 500},
	{"does not hear that a way back failed", "L1", reports(func(r *reconcile.Report) bool {
		r.Failed = r.Failed && !r.Done
		return true
	}), 3000},
	{"lets everybody go at once", "S3", deltas(func(b *bent, d *reconcile.RolloutDelta) {
		for i := range d.Permits {
			for _, t := range b.last.Tenants {
				if p := &d.Permits[i]; t.Want.Name == p.Tenant && !p.Permit.Back && p.Permit.Withhold == "" {
					p.Permit.Go, p.Permit.Target = true, t.Target
				}
			}
		}
	}), 200},
	{"always lifts what is withheld", "S4", deltas(func(b *bent, d *reconcile.RolloutDelta) {
		for i := range d.Permits {
			for _, t := range b.last.Tenants {
				if p := &d.Permits[i]; t.Want.Name == p.Tenant && !p.Permit.Back && !p.Permit.Go {
					p.Permit.Go, p.Permit.Retry, p.Permit.Target = true, true, t.Target
				}
			}
		}
	}), 300},
	{"withholds nothing", "L1", deltas(func(_ *bent, d *reconcile.RolloutDelta) {
		for i := range d.Permits {
			if p := &d.Permits[i].Permit; !p.Back {
				p.Withhold = ""
			}
		}
	}), 500},
	{"takes nobody back", "L1", deltas(func(_ *bent, d *reconcile.RolloutDelta) {
		for i := range d.Permits {
			d.Permits[i].Permit.Back = false
		}
	}), 1000},
	{"answers itself", "decision", bend(func(b *bent) {
		b.answers = func(b *bent, _ map[string]string) map[string]string {
			out := map[string]string{}
			for _, q := range b.asked {
				if q != nil {
					out[q.ID] = reconcile.ContinueAnyway
				}
			}
			return out
		}
	}), 300},
	{"hears no answer", "L1", bend(func(b *bent) {
		b.answers = func(*bent, map[string]string) map[string]string { return nil }
	}), 300},
	{"forgets its rollouts when it dies", "S3", bend(func(b *bent) {
		b.restore = func(r *reconcile.Rollout, _ []reconcile.RolloutMember) bool { return r.Phase.Closed() }
	}), 500},
	{"forgets what is owed when it dies", "S4", bend(func(b *bent) {
		b.restore = func(r *reconcile.Rollout, _ []reconcile.RolloutMember) bool { return !r.Phase.Closed() }
	}), 5000},
	{"takes whom it has not looked at for one that serves nothing", "floor", bend(func(b *bent) {
		b.planned = func(p reconcile.RolloutPlan) {
			for _, t := range p.Tenants {
				if !b.heard[t.Want.Name] {
					b.Rollouts.Hear(&reconcile.Report{Tenant: t.Want.Name, State: reconcile.Waiting})
				}
			}
		}
	}), 1000},
	{"gives an id again", "id", bend(func(b *bent) { b.counts = func() bool { return false } }), 3000},
	{"writes no members down", "scratch", deltas(func(b *bent, d *reconcile.RolloutDelta) {
		d.Members = slices.DeleteFunc(d.Members, func(m reconcile.ChangedMember) bool {
			return m.Batch == 0 && m.Class != "" || m.Class == reconcile.ClassHeld
		})
	}), 3000},
	{"calls the rolled back upgraded", "sums", members(func(m *reconcile.RolloutMember) {
		if m.Class == reconcile.ClassRolledBack {
			m.Class = reconcile.ClassUpgraded
		}
	}), 1000},
	{"calls the failed upgraded", "sums", members(func(m *reconcile.RolloutMember) {
		if m.Class == reconcile.ClassFailed && m.Restored {
			m.Class = reconcile.ClassUpgraded
		}
	}), 300},
	{"does not hear who has no way back", "offer", reports(func(r *reconcile.Report) bool { r.OneWay = ""; return true }), 1000},
	{"takes who stands half way for back", "sums", reports(func(r *reconcile.Report) bool {
		r.Restored = r.Failed && !r.InMotion
		return true
	}), 1000},
	{"calls a way back whole that is not", "sums", deltas(func(_ *bent, d *reconcile.RolloutDelta) {
		for i := range d.Rollouts {
			if d.Rollouts[i].Phase == reconcile.RolloutPartlyBack {
				d.Rollouts[i].Phase = reconcile.RolloutRolledBack
			}
		}
	}), 1000},
	{"calls those failed that could not go back", "sums", deltas(func(_ *bent, d *reconcile.RolloutDelta) {
		for i := range d.Members {
			if m := &d.Members[i].RolloutMember; m.Back && m.Class == reconcile.ClassUpgraded && m.NoWay != "" {
				m.Class = reconcile.ClassFailed
			}
		}
	}), 2000},
	{"counts one too many", "sums", deltas(func(_ *bent, d *reconcile.RolloutDelta) {
		for i := range d.Rollouts {
			if d.Rollouts[i].Phase.Closed() && d.Rollouts[i].Summary.Skipped > 0 {
				d.Rollouts[i].Summary.Upgraded++
			}
		}
	}), 200},
	{"takes time nobody saw for a bake", "S3", bend(func(b *bent) {
		b.skip = func(time.Duration) time.Duration { return 0 }
	}), 500},
	{"never wakes", "L1", bend(func(b *bent) { b.next = func(time.Time) time.Time { return time.Time{} } }), 300},
	{"wakes late", "scratch", bend(func(b *bent) {
		b.next = func(t time.Time) time.Time {
			if t.IsZero() {
				return t
			}
			return t.Add(time.Hour)
		}
	}), 300},
}
