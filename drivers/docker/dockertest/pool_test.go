package dockertest

import "testing"

// Two engines at one time, also of two processes, never share a range; one that
// was given up may be taken again.
func TestClaimsAreApart(t *testing.T) {
	claim := func() *pool {
		p, err := claimPool()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.release() })
		return p
	}
	first, second := claim(), claim()
	if first.net.String() == second.net.String() {
		t.Fatalf("both have %s", first.net)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	if third := claim(); third.net.String() == second.net.String() {
		t.Errorf("%s was given to a second one", third.net)
	}
}
