package drivertest

import "testing"

// Case is one test of a suite. Run needs no subtests, so that it can also be run
// inside a bubble of testing/synctest, by a driver that needs nothing real.
type Case struct {
	Name string
	Run  func(t *testing.T)
}

// run runs the cases as subtests.
func run(t *testing.T, cases []Case) {
	for _, c := range cases {
		t.Run(c.Name, c.Run)
	}
}

// suite are the cases of a harness.
func suite[H any](h H, named []named[H]) []Case {
	var out []Case
	for _, n := range named {
		out = append(out, Case{n.name, func(t *testing.T) { n.run(h, t) }})
	}
	return out
}

type named[H any] struct {
	name string
	run  func(H, *testing.T)
}
