package reconcile

// Step decides for one tenant. It is total: every input has a decision.
func Step(in Input, rec Record) (Decision, Record) {
	rec.Clock = in.Now
	return Decision{}, rec
}
