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

// TestDice: the luck of a name and of a happening is its own.
func TestDice(t *testing.T) {
	const half = 0.5
	type what struct {
		when int
		luck uint64
	}
	play := func(noise int, without ...string) (out []what, all []string) {
		d := NewDice(1, without)
		d.Tell()
		for i := range 20 {
			for range noise {
				d.Of("noise").IntN(1000)
			}
			if r := d.Happens("one", half); r != nil {
				out = append(out, what{i, r.Uint64()})
			}
		}
		return out, d.Happened()
	}
	was, all := play(0)
	if again, _ := play(3); !slices.Equal(was, again) {
		t.Errorf("what another draws counts: %v, %v", was, again)
	}
	less, rest := play(0, all[1])
	if want := slices.Delete(slices.Clone(was), 1, 2); !slices.Equal(less, want) {
		t.Errorf("without %s it is %v, want %v", all[1], less, want)
	}
	if want := slices.Delete(slices.Clone(all), 1, 2); !slices.Equal(rest, want) {
		t.Errorf("it tells of %v, want %v", rest, want)
	}
	if NewDice(2, nil).Of("one").Uint64() == NewDice(1, nil).Of("one").Uint64() {
		t.Error("two seeds have the same luck")
	}
}

// TestStories: what is kept comes back as it was.
func TestStories(t *testing.T) {
	dir := Stories(t.TempDir())
	if err := dir.Keep("lost_write", "a write was lost,\nand nobody knew", "-seed 12 -without Crash,Plan@3"); err != nil {
		t.Fatal(err)
	}
	all, err := dir.All()
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	s := all[0]
	seed, err := s.Number("seed")
	turns, err2 := s.Number("turns")
	if err != nil || err2 != nil || seed != 12 || turns != 0 || s.Name != "lost_write" || s.Why != "a write was lost, and nobody knew" ||
		!slices.Equal(s.List("without"), []string{"Crash", "Plan@3"}) {
		t.Errorf("%+v %d %d, %v %v", s, seed, turns, err, err2)
	}
	if err := dir.Keep("nobody", "it says nothing", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.All(); err == nil {
		t.Error("a story without a seed is read")
	}
}
