package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gitops-fleet/reconcile/reconcile"
)

var (
	schedules = flag.Int("schedules", 500, "how many seeds TestSeeds runs")
	first     = flag.Uint64("first", 1, "the first of them")
	seed      = flag.Uint64("seed", 0, "the seed TestSeed repeats")
	turnsOf   = flag.Int("turns", 0, "turns of its first phase; 0: by the seed")
	without   = flag.String("without", "", "what to leave out of it, by comma: fields of Options and Shape, and NAME@NUMBER")
	save      = flag.String("save", "", "keep the first broken case as a story of this name")
)

// Runs make much garbage and keep little: collecting it less often is a fifth
// of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// seeds runs n seeds from the first on, on all cores, and returns the lowest
// one that breaks the rule ("": any; 0: none does), and what all of them came
// to see.
func seeds(first uint64, n int, step Step, rule string) (broken uint64, reached map[string]int, turns int) {
	var next, lowest atomic.Uint64
	next.Store(first)
	lowest.Store(first + uint64(n))
	var mu sync.Mutex
	reached = map[string]int{}
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				s := next.Add(1) - 1
				if s >= lowest.Load() {
					return
				}
				o := Run(Case{Seed: s}, step)
				if o.Broken != nil && (rule == "" || o.Broken.Rule == rule) {
					for {
						low := lowest.Load()
						if s >= low || lowest.CompareAndSwap(low, s) {
							break
						}
					}
				}
				mu.Lock()
				turns += o.Turns
				for what, n := range o.Reached {
					reached[what] += n
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if low := lowest.Load(); low < first+uint64(n) {
		broken = low
	}
	return broken, reached, turns
}

// TestSeeds runs many seeds and wants every one of them clean.
func TestSeeds(t *testing.T) {
	broken, reached, turns := seeds(*first, *schedules, reconcile.Step, "")
	if broken != 0 {
		o := Traced(Shrink(Case{Seed: broken}, reconcile.Step), reconcile.Step)
		if *save != "" {
			keep(t, *save, o)
		}
		t.Fatalf("seed %d breaks a rule; as small as it gets:\n%v", broken, o)
	}
	t.Logf("%d schedules, %d turns", *schedules, turns)
	for _, what := range sorted(reached) {
		t.Logf("%8d %s", reached[what], what)
	}
	for _, what := range []string{"done", "switched", "failed", "again", "held", "question", "writes kept"} {
		if reached[what] == 0 {
			t.Errorf("no schedule came to see %q", what)
		}
	}
}

// TestSeed repeats one run and prints it.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("give one with -seed")
	}
	c := Case{Seed: *seed, Turns: *turnsOf}
	if *without != "" {
		c.Without = strings.Split(*without, ",")
	}
	o := Traced(c, reconcile.Step)
	fmt.Println(o)
	if o.Broken != nil {
		t.Fail()
	}
}

// TestSameSeedSameRun: a run depends on nothing but its seed.
func TestSameSeedSameRun(t *testing.T) {
	for s := range uint64(20) {
		a, b := Traced(Case{Seed: s}, reconcile.Step), Traced(Case{Seed: s}, reconcile.Step)
		if a.String() != b.String() {
			t.Fatalf("seed %d made two different runs", s)
		}
	}
}

// TestMutants breaks the step on purpose and wants the named rule to notice.
func TestMutants(t *testing.T) {
	for _, m := range Mutants {
		t.Run(m.Name, func(t *testing.T) {
			caught, _, _ := seeds(1, m.Within, m.Break(reconcile.Step), m.Rule)
			if caught == 0 {
				t.Fatalf("%s did not notice in %d seeds", m.Rule, m.Within)
			}
			t.Logf("seed %d: %v", caught, Run(Case{Seed: caught}, m.Break(reconcile.Step)).Broken)
		})
	}
}
