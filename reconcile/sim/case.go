package sim

import (
	"fmt"
	"strings"

	"github.com/gitops-fleet/reconcile/reconcile/sim/shrink"
)

// Case is one run: a seed, and what of it is left out.
type Case struct {
	Seed  uint64
	Turns int // of the first phase; 0: by the seed
	// Without are fields of Options and of Shape that are off, and single
	// happenings, NAME@NUMBER.
	Without []string
}

// String is how TestSeed is told to make it again.
func (c Case) String() string {
	s := fmt.Sprintf("-seed %d", c.Seed)
	if c.Turns > 0 {
		s += fmt.Sprintf(" -turns %d", c.Turns)
	}
	if len(c.Without) > 0 {
		s += " -without " + strings.Join(c.Without, ",")
	}
	return s
}

// happenings are those that are left out one by one.
func (c Case) happenings() []string {
	var out []string
	for _, name := range c.Without {
		if strings.Contains(name, "@") {
			out = append(out, name)
		}
	}
	return out
}

// Shrink makes a case that breaks a rule smaller while the same rule still
// breaks: fewer turns, less weather, a plainer tenant, and then each crash, fault
// and word of people by itself. A case that breaks none comes back as it is.
func Shrink(c Case, step Step) Case {
	first := Run(c, step)
	if first.Broken == nil {
		return c
	}
	still := func(less Case) bool {
		o := Run(less, step)
		if o.Broken == nil || o.Broken.Rule != first.Broken.Rule {
			return false
		}
		c = less
		return true
	}
	shrink.Number(first.Options.Turns, 1, func(n int) bool { less := c; less.Turns = n; return still(less) })
	drop := func(names []string) {
		shrink.Drop(names, c.Without, func(out []string) bool { less := c; less.Without = out; return still(less) })
	}
	opt, shape := first.Options, first.Shape
	drop(append(shrink.Names(&opt), shrink.Names(&shape)...))
	drop(Traced(c, step).Happened)
	return c
}
