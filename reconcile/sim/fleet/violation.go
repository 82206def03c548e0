package fleet

// Violation is a rule broken.
type Violation struct {
	Rule string // "S3" and so on, as the design names them
	Text string
}

// Error is the rule and how it was broken.
func (v *Violation) Error() string { return v.Rule + ": " + v.Text }
