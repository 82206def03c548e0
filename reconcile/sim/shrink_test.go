package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

const stories shrink.Stories = "../testdata/sim"

// keep makes a story of a case that broke a rule.
func keep(t *testing.T, name string, o Outcome) {
	if err := stories.Keep(name, o.Broken.Error(), o.Case.String()); err != nil {
		t.Error(err)
	}
}

// TestStories plays every case that was once broken.
func TestStories(t *testing.T) {
	all, err := stories.All()
	if err != nil || len(all) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			seed, err := s.Number("seed")
			if err != nil {
				t.Fatal(err)
			}
			turns, err := s.Number("turns")
			if err != nil {
				t.Fatal(err)
			}
			c := Case{Seed: seed, Turns: int(turns), Without: s.List("without")}
			if o := Run(c, reconcile.Step); o.Broken != nil {
				t.Error(Traced(c, reconcile.Step))
			}
		})
	}
}

// TestShrink: a case that is made smaller breaks the same rule, and little else
// happens in it.
func TestShrink(t *testing.T) {
	for _, rule := range []string{"S6", "S5"} {
		i := slices.IndexFunc(Mutants, func(m Mutant) bool { return m.Rule == rule })
		m := Mutants[i]
		step := m.Break(reconcile.Step)
		seed, _, _ := seeds(1, m.Within, step, m.Rule)
		before := Traced(Case{Seed: seed}, step)
		small := Traced(Shrink(before.Case, step), step)
		if small.Broken == nil || small.Broken.Rule != m.Rule {
			t.Fatalf("%s does not break %s any more: %v", small.Case, m.Rule, small.Broken)
		}
		if len(small.Happened) > 8 || small.Options.Turns > before.Options.Turns {
			t.Errorf("%s: still %d things happen in %d turns: %s", small.Case, len(small.Happened), small.Options.Turns, strings.Join(small.Happened, " "))
		}
		t.Logf("%s: %d of %d things happen, in %d of %d turns: %s\n%s", m.Name, len(small.Happened), len(before.Happened),
			small.Options.Turns, before.Options.Turns, strings.Join(small.Happened, " "), small.Case)
	}
}
