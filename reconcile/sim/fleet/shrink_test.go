package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const stories = "../../testdata/fleet"

// TestStories plays every case that was once broken.
func TestStories(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(stories, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ReadStory(name, string(text))
			if err != nil {
				t.Fatal(err)
			}
			if o := Run(s.Case, Real); o.Broken != nil {
				t.Error(Traced(s.Case, Real))
			}
		})
	}
}

// TestShrink: a case that is made smaller breaks the same rule, and comes back
// from its file as it was.
func TestShrink(t *testing.T) {
	m := Mutants[1]
	c := Case{Seed: seeds(1, m.Within, 12, m.Make, m.Rule).broken, Tenants: 12}
	before := Run(c, m.Make)
	small := Shrink(c, m.Make)
	after := Run(small, m.Make)
	if after.Broken == nil || after.Broken.Rule != m.Rule {
		t.Fatalf("%s does not break %s any more: %v", small, m.Rule, after.Broken)
	}
	if small.Turns >= before.Weather.Turns || len(small.Without) < 10 {
		t.Errorf("%s is hardly smaller than %s", small, before.Weather)
	}
	again, err := ReadStory("x", Story{Why: "why", Case: small}.Text())
	if err != nil || again.String() != small.String() || again.Why != "why" {
		t.Errorf("%v: %s %q, was %s", err, again, again.Why, small)
	}
	t.Logf("%s\n%s", before.Case, small)
}
