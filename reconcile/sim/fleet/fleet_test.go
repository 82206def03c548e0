package fleet

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	schedules = flag.Int("schedules", 1000, "how many seeds TestSeeds runs")
	first     = flag.Uint64("first", 1, "the first of them")
	seed      = flag.Uint64("seed", 0, "the seed TestSeed repeats")
	tenants   = flag.Int("tenants", 0, "how many tenants; 0: 1 to 12, by the seed")
	turns     = flag.Int("turns", 0, "turns of the first phase; 0: by the seed")
	save      = flag.String("save", "", "keep the first broken case as a story of this name")
	without   = flag.String("without", "", "faults to leave out, by comma")
)

// Runs make much garbage and keep little, if the fleet is small.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(800)
	if *tenants < 100 {
		debug.SetGCPercent(5000)
	}
	os.Exit(m.Run())
}

// found is what many runs came to.
type found struct {
	broken  uint64 // the lowest seed that broke the rule; 0: none did
	reached map[string]int
	turns   int
}

// seeds makes n runs from the first seed on, on all cores.
func seeds(first uint64, n, tenants int, make Maker, rule string) found {
	var next, lowest atomic.Uint64
	next.Store(first)
	lowest.Store(first + uint64(n))
	f := found{reached: map[string]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				s := next.Add(1) - 1
				if s >= lowest.Load() {
					return
				}
				o := Run(Case{Seed: s, Tenants: tenants}, make)
				mu.Lock()
				if o.Broken != nil && (rule == "" || o.Broken.Rule == rule) && s < lowest.Load() {
					lowest.Store(s)
				}
				f.turns += o.Turns
				for what, n := range o.Reached {
					f.reached[what] += n
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if low := lowest.Load(); low < first+uint64(n) {
		f.broken = low
	}
	return f
}

// TestSeeds runs many seeds and wants every one of them clean.
func TestSeeds(t *testing.T) {
	f := seeds(*first, *schedules, *tenants, Real, "")
	if f.broken != 0 {
		small := Shrink(Case{Seed: f.broken, Tenants: *tenants}, Real)
		o := Traced(small, Real)
		if *save != "" {
			s := Story{Name: *save, Why: o.Broken.Error(), Case: small}
			if err := os.WriteFile(filepath.Join(stories, *save+".txt"), []byte(s.Text()), 0o644); err != nil {
				t.Error(err)
			}
		}
		t.Fatalf("seed %d breaks a rule; as small as it gets:\n%v", f.broken, o)
	}
	t.Logf("%d schedules of fleets (%s tenants), %d decisions", *schedules, size(), f.turns)
	for _, what := range sorted(f.reached) {
		t.Logf("%8d %s", f.reached[what], what)
	}
}

// size says how many tenants a fleet has.
func size() string {
	if *tenants == 0 {
		return "1 to 12"
	}
	return fmt.Sprint(*tenants)
}

// TestSeed repeats one run and prints it.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("give one with -seed")
	}
	c := Case{Seed: *seed, Tenants: *tenants, Turns: *turns}
	if *without != "" {
		c.Without = strings.Split(*without, ",")
	}
	o := Traced(c, Real)
	fmt.Println(o)
	if o.Broken != nil {
		t.Fail()
	}
}

// TestSameSeedSameRun: a run depends on nothing but its case.
func TestSameSeedSameRun(t *testing.T) {
	for s := range uint64(20) {
		a, b := Traced(Case{Seed: s}, Real), Traced(Case{Seed: s}, Real)
		if a.String() != b.String() {
			t.Fatalf("seed %d made two different runs", s)
		}
	}
}

// TestMutants breaks the machine on purpose and wants the named rule to notice.
func TestMutants(t *testing.T) {
	for _, m := range Mutants {
		t.Run(m.Name, func(t *testing.T) {
			f := seeds(1, m.Within, 0, m.Make, m.Rule)
			if f.broken == 0 {
				t.Fatalf("%s did not notice in %d seeds", m.Rule, m.Within)
			}
			t.Logf("seed %d: %v", f.broken, Run(Case{Seed: f.broken}, m.Make).Broken)
		})
	}
}
