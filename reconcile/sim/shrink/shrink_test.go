package shrink

import (
	"slices"
	"testing"
)

func TestNumber(t *testing.T) {
	for want := 1; want <= 40; want++ {
		if got := Number(40, 1, func(n int) bool { return n >= want }); got != want {
			t.Errorf("it came down to %d, and %d would do", got, want)
		}
	}
	if got := Number(7, 1, func(int) bool { return false }); got != 7 {
		t.Errorf("%d, though nothing less will do", got)
	}
}

// TestDrop: all goes but what is needed, and two that need each other stay.
func TestDrop(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	tried := 0
	out := Drop(names, []string{"g"}, func(out []string) bool {
		tried++
		return !slices.Contains(out, "b") && !slices.Contains(out, "e")
	})
	slices.Sort(out)
	if !slices.Equal(out, []string{"a", "c", "d", "f", "g"}) || tried > 20 {
		t.Errorf("left out %v after %d tries", out, tried)
	}
}

func TestFields(t *testing.T) {
	type options struct {
		Turns int
		Crash float64
		Late  float64
		API   bool
		Keep  string
		off   bool
	}
	o := options{Turns: 3, Crash: 0.1, API: true, Keep: "x", off: true}
	if got := Names(&o, "Keep"); !slices.Equal(got, []string{"Crash", "API"}) {
		t.Errorf("%v", got)
	}
	Without(&o, []string{"Crash", "API", "nobody"})
	if o.Crash != 0 || o.API || o.Turns != 3 || !o.off {
		t.Errorf("%+v", o)
	}
}

// TestDice: the luck of a name is its own.
func TestDice(t *testing.T) {
	a, b := NewDice(1), NewDice(1)
	for range 10 {
		a.Of("other").IntN(1000)
	}
	if x, y := a.Of("one").Uint64(), b.Of("one").Uint64(); x != y {
		t.Errorf("%d and %d: what another draws counts", x, y)
	}
	if NewDice(2).Of("one").Uint64() == NewDice(1).Of("one").Uint64() {
		t.Error("two seeds have the same luck")
	}
}
