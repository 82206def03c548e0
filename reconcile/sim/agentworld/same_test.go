package agentworld

import (
	"strings"
	"testing"
)

// TestSameSeedSameRun: a run depends on nothing but its seed, whichever goroutine
// of the agent comes first.
func TestSameSeedSameRun(t *testing.T) {
	for s := uint64(1); s <= 15; s++ {
		was := strings.Split(run(t, Case{Seed: s}, nil).text(), "\n")
		for i, line := range strings.Split(run(t, Case{Seed: s}, nil).text(), "\n") {
			if i >= len(was) || was[i] != line {
				t.Fatalf("seed %d made two different runs; the second says first\n%s\nand the first\n%s", s, line, was[min(i, len(was)-1)])
			}
		}
	}
}
