package agentworld

import (
	"slices"
	"strings"
	"testing"
)

// TestSameSeedSameRun: a run depends on nothing but its seed, whichever goroutine
// of the agent comes first. One thing is not settled: the first look of an agent that
// was killed may come a nanosecond later, and with it all that follows. So a seed may
// have two runs, and every further one is one of them.
func TestSameSeedSameRun(t *testing.T) {
	for s := uint64(1); s <= 15; s++ {
		known := []string{run(t, Case{Seed: s}, nil).text()}
		for range 3 {
			is := run(t, Case{Seed: s}, nil).text()
			switch {
			case slices.Contains(known, is):
			case len(known) == 1 && strings.Contains(is, "killed, away"):
				known = append(known, is)
				continue
			default:
				was := strings.Split(known[0], "\n")
				for i, line := range strings.Split(is, "\n") {
					if i >= len(was) || was[i] != line {
						t.Fatalf("seed %d made %d different runs; the last says first\n%s\nand the first\n%s", s, len(known)+1, line, was[min(i, len(was)-1)])
					}
				}
				t.Fatalf("seed %d made a run that ends early", s)
			}
			break
		}
	}
}
