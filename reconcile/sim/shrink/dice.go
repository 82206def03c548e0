package shrink

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// Dice are one seed's luck. Each name has its own, and so has every happening: what
// is left out takes no luck from the others, so that a run without it stays near
// the one it was. Not for use by several goroutines.
type Dice struct {
	seed  uint64
	named map[string]*die
	out   map[string]bool // happenings left out, NAME@NUMBER
	told  bool
	all   []string
}

type die struct {
	*rand.Rand
	salt uint64
	cast int // how often it was asked whether the name happens
}

// NewDice are those of a seed, with what is left out: NAME@NUMBER is the happening
// of a name at the time of asking with that number.
func NewDice(seed uint64, without []string) *Dice {
	d := &Dice{seed: seed, named: map[string]*die{}}
	for _, name := range without {
		if d.out == nil {
			d.out = map[string]bool{}
		}
		d.out[name] = true
	}
	return d
}

func (d *Dice) die(name string) *die {
	x := d.named[name]
	if x == nil {
		h := fnv.New64a()
		h.Write([]byte(name))
		x = &die{Rand: rand.New(rand.NewPCG(d.seed, h.Sum64())), salt: h.Sum64()}
		d.named[name] = x
	}
	return x
}

// Of is the luck of a name.
func (d *Dice) Of(name string) *rand.Rand { return d.die(name).Rand }

// Happens says whether what is named happens now, which it does at the rate, and
// returns the luck of that happening; nil: it does not.
func (d *Dice) Happens(name string, rate float64) *rand.Rand {
	x := d.die(name)
	x.cast++
	if rate <= 0 || x.Float64() >= rate {
		return nil
	}
	if d.told || d.out != nil {
		key := fmt.Sprintf("%s@%d", name, x.cast)
		if d.out[key] {
			return nil
		}
		d.all = append(d.all, key)
	}
	return rand.New(rand.NewPCG(d.seed^x.salt, uint64(x.cast)))
}

// Tell has Happened tell.
func (d *Dice) Tell() { d.told = true }

// Happened is all that happened, each in the words that leave it out.
func (d *Dice) Happened() []string { return d.all }
