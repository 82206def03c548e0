package mem

import "time"

// Image is how the instances of an image behave. The zero Image exists, is
// healthy from its start on, and runs until it is stopped.
type Image struct {
	Missing       bool // not in the registry
	Denied        bool // the registry does not let us have it
	OtherPlatform bool

	// Create is how long an instance is Starting before it runs.
	Create time.Duration
	// HealthyAfter is how long it takes to answer well after it runs; before,
	// its port is closed.
	HealthyAfter time.Duration
	// Sick answers badly always; SickAfter from that long after its start on
	// (0: never); Flap in turns of this length, first well (0: never).
	Sick      bool
	SickAfter time.Duration
	Flap      time.Duration
	// Exits ends the process with Code, Exit after each time it runs. A job
	// that does not say so exits at once with Code.
	Exits bool
	Exit  time.Duration
	Code  int
	// Deaf ignores its stop signal: it is killed after grace.
	Deaf bool
	Log  string // what it prints
}

// answers says whether an instance running since that long answers well, and
// whether it answers at all.
func (i Image) answers(since time.Duration) (well, atAll bool) {
	switch {
	case since < i.HealthyAfter:
		return false, false
	case i.Sick:
		return false, true
	case i.SickAfter > 0 && since >= i.SickAfter:
		return false, true
	case i.Flap > 0 && (since/i.Flap)%2 == 1:
		return false, true
	}
	return true, true
}

// SetImage says how instances of the image behave that are started from now on.
func (h *Host) SetImage(image string, as Image) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set[digestOf(image)] = as
}

// image returns what the registry has under the reference.
func (h *Host) image(image string) Image {
	if as, ok := h.set[digestOf(image)]; ok {
		return as
	}
	return h.registry(image)
}
