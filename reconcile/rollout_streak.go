package reconcile

// streaks answers, of a row of members, how long the longest run of failures
// is: as it is, and as it would be if all in motion failed too. A member that
// counts as nothing breaks no run and joins none. A change of one member costs
// the logarithm of their number.
type streaks struct {
	leaves int
	nodes  []span
}

// mark is what a member counts as.
type mark byte

const (
	markNone mark = iota
	markGood
	markBad
	markMaybe // in motion
)

// span sums up a part of the row, for both questions.
type span struct{ is, worst run }

// run is the longest run of failures in a part of the row, and those that touch
// its ends. whole says that nothing in it breaks a run.
type run struct {
	head, tail, best int32
	whole            bool
}

func newStreaks(n int) *streaks {
	leaves := 1
	for leaves < n {
		leaves *= 2
	}
	s := &streaks{leaves: leaves, nodes: make([]span, 2*leaves)}
	for i := range s.nodes {
		s.nodes[i] = span{run{whole: true}, run{whole: true}}
	}
	return s
}

// set says what the member at a place counts as.
func (s *streaks) set(place int, m mark) {
	none, bad := run{whole: true}, run{1, 1, 1, true}
	leaf := span{none, none}
	switch m {
	case markGood:
		leaf = span{}
	case markBad:
		leaf = span{bad, bad}
	case markMaybe:
		leaf.worst = bad
	case markNone:
	}
	i := s.leaves + place
	s.nodes[i] = leaf
	for i /= 2; i >= 1; i /= 2 {
		a, b := s.nodes[2*i], s.nodes[2*i+1]
		s.nodes[i] = span{join(a.is, b.is), join(a.worst, b.worst)}
	}
}

// longest is the longest run of failures.
func (s *streaks) longest() int { return int(s.nodes[1].is.best) }

// worst is the longest run if all in motion failed.
func (s *streaks) worst() int { return int(s.nodes[1].worst.best) }

func join(a, b run) run {
	r := run{head: a.head, tail: b.tail, best: max(a.best, b.best, a.tail+b.head), whole: a.whole && b.whole}
	if a.whole {
		r.head = a.tail + b.head
	}
	if b.whole {
		r.tail = b.head + a.tail
	}
	return r
}
