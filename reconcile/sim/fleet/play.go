package fleet

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Defaults of Options, for flags and docs.
const (
	DefaultSeeds      = 100
	DefaultReady      = 10 * time.Second
	DefaultServing    = 0.5
	DefaultShowWithin = 10 * time.Minute
)

// Options say what is assumed of the versions a plan asks for, and how often it
// is played.
type Options struct {
	// Seeds is how many times the plan is played, each with other luck; 0 is
	// DefaultSeeds. First is the first seed.
	Seeds int
	First uint64
	// Fail is the share of tenants the new version fails on, from 0 to 1, each
	// tenant for itself.
	Fail float64
	// Serving is the share of these that prove themselves at the gate and fail
	// only once they serve, at a random moment within ShowWithin after the switch:
	// within the bake the tenant goes back by itself, later it stays broken until
	// its rollout is rolled back. 0 is DefaultServing; -1: none does.
	Serving    float64
	ShowWithin time.Duration // 0 is DefaultShowWithin
	// Ready is the usual time from the start of a version until it proved itself.
	// It is drawn for each tenant, from half of it to twice as much, and never
	// less than the probes take; 0 is DefaultReady.
	Ready time.Duration
	// Begin is the time of the commit, for policies with windows; zero: the
	// Monday 2026-01-05 00:00 UTC.
	Begin time.Time
	// Workers is how many runs go on at once; 0: GOMAXPROCS.
	Workers int
	// Progress is told after each run how many there were, if it is set. It is
	// called from one goroutine at a time.
	Progress func(done, of int)
}

// Play plays a plan as if every tenant ran an earlier version of its template
// when the plan's commit comes: the rollouts of its policies, with versions that
// fail by chance. A run ends when its rollouts are closed or wait for a person.
// Questions before a batch are answered at once. The same options give the same result. An error names what cannot be played.
func Play(p *plans.Plan, o Options) (Result, error) {
	began := time.Now()
	o, err := o.filled()
	if err != nil {
		return Result{}, err
	}
	s := newStage(p, o)
	if len(s.tenants) == 0 {
		return Result{}, fmt.Errorf("play the plan: no tenant of it is to be moved")
	}
	results := make([]map[string]*luck, o.Seeds)
	var next, done atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(o.Workers, o.Seeds) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= o.Seeds {
					return
				}
				results[i] = s.play(o.First + uint64(i))
				n := int(done.Add(1))
				if o.Progress != nil {
					mu.Lock()
					o.Progress(n, o.Seeds)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	out := Result{Seeds: o.Seeds, First: o.First, Fail: o.Fail, Tenants: len(s.tenants), Waves: s.sum(results)}
	out.Took = time.Since(began)
	return out, nil
}

func (o Options) filled() (Options, error) {
	switch {
	case o.Fail < 0 || o.Fail > 1:
		return o, fmt.Errorf("play the plan: the share of failures is %g, it is from 0 to 1", o.Fail)
	case o.Serving > 1:
		return o, fmt.Errorf("play the plan: the share of failures that show late is %g, it is from 0 to 1", o.Serving)
	case o.Seeds < 0 || o.Workers < 0 || o.Ready < 0 || o.ShowWithin < 0:
		return o, fmt.Errorf("play the plan: seeds, workers and durations are not negative")
	}
	if o.Seeds == 0 {
		o.Seeds = DefaultSeeds
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Serving == 0 {
		o.Serving = DefaultServing
	}
	if o.Ready == 0 {
		o.Ready = DefaultReady
	}
	if o.ShowWithin == 0 {
		o.ShowWithin = DefaultShowWithin
	}
	if o.Begin.IsZero() {
		o.Begin = epoch
	}
	return o, nil
}
