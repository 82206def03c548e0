package reconcile_test

import (
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// BenchmarkStepAtRest is what one tenant costs when nothing is to be done.
func BenchmarkStepAtRest(b *testing.B) {
	s := newStory(&testing.T{})
	s.command("plan app=v1 worker=w1 side=s1 db=d1 data=share")
	s.run(time.Minute)
	s.command("plan app=v2 worker=w1 side=s1 db=d1 data=share")
	s.run(time.Minute)
	in := reconcile.Input{Name: "acme", Want: s.want, Facts: &s.w.facts, Now: s.w.now, Env: &s.env,
		Permit: reconcile.Permit{Go: true, Target: s.want.Target()}}
	if s.last.State != reconcile.Converged {
		b.Fatalf("not at rest: %s", s.last.Why)
	}
	b.ReportAllocs()
	b.ReportMetric(float64(len(encode(s.t, s.rec))), "record-bytes")
	for b.Loop() {
		reconcile.Step(in, s.rec)
	}
}
