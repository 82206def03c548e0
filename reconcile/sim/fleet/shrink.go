package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Shrink makes a case that breaks a rule smaller while the same rule still
// breaks: fewer turns, fewer tenants, fewer faults. A case that breaks none comes
// back as it is.
func Shrink(c Case, make Maker) Case {
	first := Run(c, make)
	if first.Broken == nil {
		return c
	}
	still := func(c Case) bool {
		o := Run(c, make)
		return o.Broken != nil && o.Broken.Rule == first.Broken.Rule
	}
	c.Turns = first.Weather.Turns
	for size := c.Turns / 2; size > 0; size /= 2 {
		if less := c; c.Turns > size {
			if less.Turns -= size; still(less) {
				c = less
			}
		}
	}
	for n := 1; n < first.Weather.Tenants; n++ {
		if less := c; n < 4 || n%4 == 0 {
			if less.Tenants = n; still(less) {
				c = less
				break
			}
		}
	}
	for _, fault := range Faults() {
		less := c
		less.Without = append(slices.Clone(c.Without), fault)
		if !slices.Contains(c.Without, fault) && still(less) {
			c = less
		}
	}
	return c
}

// Story is a case with a name: what was once broken stays mended.
type Story struct {
	Name string
	Why  string // what was broken
	Case
}

// Text is a story as it is kept in a file.
func (s Story) Text() string { return fmt.Sprintf("# %s\n%s\n", s.Why, s.Case.flags()) }

// ReadStory reads what Text wrote.
func ReadStory(name, text string) (Story, error) {
	s := Story{Name: name}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if why, ok := strings.CutPrefix(line, "# "); ok {
			s.Why = strings.TrimSpace(s.Why + " " + why)
			continue
		}
		words := strings.Fields(line)
		for i := 0; i+1 < len(words); i += 2 {
			n, err := strconv.ParseUint(words[i+1], 10, 64)
			switch words[i] {
			case "-seed":
				s.Seed = n
			case "-tenants":
				s.Tenants = int(n)
			case "-turns":
				s.Turns = int(n)
			case "-without":
				s.Without, err = strings.Split(words[i+1], ","), nil
			default:
				return s, fmt.Errorf("read story %s: unknown word %q", name, words[i])
			}
			if err != nil {
				return s, fmt.Errorf("read story %s: %w", name, err)
			}
		}
	}
	if s.Seed == 0 {
		return s, fmt.Errorf("read story %s: it names no seed", name)
	}
	return s, nil
}
