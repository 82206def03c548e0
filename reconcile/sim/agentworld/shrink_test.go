package agentworld

import (
	"slices"
	"testing"

	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

const stories shrink.Stories = "../../testdata/agentworld"

// TestStories plays every case that was once broken.
func TestStories(t *testing.T) {
	all, err := stories.All()
	if err != nil || len(all) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			c := Case{Without: s.List("without")}
			var n [3]uint64
			for i, arg := range []string{"seed", "tenants", "steps"} {
				if n[i], err = s.Number(arg); err != nil {
					t.Fatal(err)
				}
			}
			c.Seed, c.Tenants, c.Steps = n[0], int(n[1]), int(n[2])
			if w := run(t, c, nil); w.broken != nil {
				t.Errorf("%v\n%s", w.broken, w.text())
			}
		})
	}
}

// TestShrink: a run that is made smaller breaks the same rule.
func TestShrink(t *testing.T) {
	m := Mutants[slices.IndexFunc(Mutants, func(m Mutant) bool { return m.Rule == "S10" })]
	for s := uint64(1); s <= m.Within; s++ {
		w := run(t, Case{Seed: s}, m.Break)
		if w.broken == nil || w.broken.Rule != m.Rule {
			continue
		}
		small := Shrink(w, func(c Case) *world { return run(t, c, m.Break) })
		if small.broken == nil || small.broken.Rule != m.Rule {
			t.Fatalf("%s does not break %s any more: %v", small.c, m.Rule, small.broken)
		}
		if left := small.names(); small.number > 2 || small.steps > w.steps || len(left) > 3 {
			t.Errorf("%s is hardly smaller than %s: %v", small.c, w.c, left)
		}
		t.Logf("%s\n%s", w.c, small.c)
		return
	}
	t.Fatalf("%s did not notice in %d seeds", m.Rule, m.Within)
}
