package reconcile_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// BenchmarkRolloutEvent plays a whole rollout of so many tenants, one report and
// one decision after the other, and tells what one of them costs: time and memory
// for each event, which is one report heard and decided about.
func BenchmarkRolloutEvent(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			events := 0
			var before, after runtime.MemStats
			var bytes, allocs uint64
			var cpu time.Duration
			for b.Loop() {
				b.StopTimer()
				r, first := standing(n)
				runtime.GC() // what was made for that is not the events'
				runtime.ReadMemStats(&before)
				begun := processor(b)
				b.StartTimer()
				events += carryOut(b, r, first, n)
				b.StopTimer()
				cpu += processor(b) - begun
				runtime.ReadMemStats(&after)
				bytes, allocs = bytes+after.TotalAlloc-before.TotalAlloc, allocs+after.Mallocs-before.Mallocs
				b.StartTimer()
			}
			for unit, total := range map[string]float64{"ns/event": float64(b.Elapsed().Nanoseconds()), "cpu-ns/event": float64(cpu),
				"B/event": float64(bytes), "allocs/event": float64(allocs)} {
				b.ReportMetric(total/float64(events), unit)
			}
		})
	}
}

// processor is the processor time of this process so far, its collector's too:
// what an event takes of a machine that has other things to do.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// standing is a fleet that runs r1 while the plan wants r2: the first decision
// has been made.
func standing(n int) (*reconcile.Rollouts, []reconcile.TenantPermit) {
	r := reconcile.NewRollouts("n1")
	p := reconcile.RolloutPlan{Commit: "c", Policies: map[string]plans.BatchPolicy{
		"standard": {Name: "standard", BatchPct: 20, MaxConsecutiveFailures: 8, Canary: &plans.Canary{Count: 2}}}}
	for i := range n {
		p.Tenants = append(p.Tenants, reconcile.RolloutTenant{Target: plans.Target{Core: "g1:r2"},
			Want: &plans.Tenant{Name: fmt.Sprintf("t%05d", i), Template: "platform", Policy: "standard", Release: "r2"}})
	}
	r.Plan(p)
	for i := range n {
		said := says(fmt.Sprintf("t%05d", i), "r1", false)
		r.Hear(&said)
	}
	return r, r.Decide(start, nil).Permits
}

func says(tenant, release string, moves bool) reconcile.Report {
	rep := reconcile.Report{Tenant: tenant, State: reconcile.Waiting, Target: plans.Target{Core: "g1:r2"}, Release: release,
		Reached: plans.Target{Core: "g1:" + release}, Generation: "g1:" + release, Op: reconcile.Replace, InMotion: moves, Done: release == "r2"}
	switch {
	case moves:
		rep.State = reconcile.Progressing
	case rep.Done:
		rep.State = reconcile.Converged
	}
	return rep
}

// carryOut moves whoever is let go, and returns how many reports that took.
func carryOut(b *testing.B, r *reconcile.Rollouts, permits []reconcile.TenantPermit, n int) (events int) {
	moved := map[string]bool{}
	now := start
	for len(permits) > 0 {
		p := permits[0]
		permits = permits[1:]
		if !p.Permit.Go || moved[p.Tenant] {
			continue
		}
		moved[p.Tenant] = true
		for _, rep := range []reconcile.Report{says(p.Tenant, "r1", true), says(p.Tenant, "r2", false)} {
			now = now.Add(time.Millisecond)
			r.Hear(&rep)
			permits = append(permits, r.Decide(now, nil).Permits...)
			events++
		}
	}
	if l := r.List(); len(l) != 1 || l[0].Phase != reconcile.RolloutCompleted || l[0].Summary.Upgraded != n {
		b.Fatalf("it ends as %+v", l)
	}
	return events
}
