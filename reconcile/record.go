package reconcile

import "time"

// Record is the memory of one tenant: what cannot be seen. It is a value: Step
// takes one and returns the next, and never shares memory with the one it took.
// It is stored as JSON in the journal.
type Record struct {
	// Clock is the now of the last step; it never goes backwards.
	Clock time.Time `json:"clock"`
}
