package observed

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// Class says what an error means for what comes next. It belongs to the
// driver: the core never reads error text.
type Class string

// The classes, and what the agent does with each.
const (
	// Transient: the same action may be tried again, with backoff.
	Transient Class = "transient"
	// Refused: the host said no; trying again changes nothing. The attempt fails at once.
	Refused Class = "refused"
	// Conflict: something else moved it; look again before deciding.
	Conflict Class = "conflict"
	// Environment: registry, network, proxy or engine is down. Nobody's
	// release is to blame: unknown, held with backoff, counted by no breaker.
	Environment Class = "environment"
)

// Problem is an error with a class for the machine and a hint for the person.
// It holds no secret.
type Problem struct {
	Op    string `json:"op,omitempty"`  // "pull", "start", …
	Ref   string `json:"ref,omitempty"` // what it was done to
	Class Class  `json:"class"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // what to run, or where to look
	Log   string `json:"log,omitempty"`  // last lines of the instance, where that explains it
	Full  bool   `json:"full,omitempty"` // there was no room left for it

	err error
}

func (p *Problem) Error() string {
	switch {
	case p.Op == "":
		return p.Text
	case p.Ref == "":
		return p.Op + ": " + p.Text
	}
	return fmt.Sprintf("%s %s: %s", p.Op, p.Ref, p.Text)
}

// Unwrap returns the cause, where the problem was made in this process.
func (p *Problem) Unwrap() error { return p.err }

// Wrap makes a Problem of err. An err that already holds one keeps its class,
// hint and log; op and ref are then added only where it has none.
func Wrap(op, ref string, class Class, err error, hint string) *Problem {
	if err == nil {
		return nil
	}
	var in *Problem
	if errors.As(err, &in) {
		out := *in
		out.err = err
		if out.Op == "" {
			out.Op, out.Ref = op, ref
		}
		if out.Hint == "" {
			out.Hint = hint
		}
		return &out
	}
	return &Problem{Op: op, Ref: ref, Class: class, Text: err.Error(), Hint: hint, err: err}
}

// ClassOf returns the class of err: that of the Problem it holds, else Transient.
func ClassOf(err error) Class {
	var p *Problem
	if errors.As(err, &p) {
		return p.Class
	}
	return Transient
}

// Partial is the error of a look that could not see some parts of what it looked
// at. What was returned beside it is whole for every part it does not name.
type Partial struct {
	Parts map[string]*Problem // why, by part
}

func (p *Partial) Error() string {
	var all []string
	for _, why := range plans.Sorted(p.Parts) {
		all = append(all, why.Error())
	}
	return strings.Join(all, "; ")
}

// Unwrap returns the problems in the order of their parts.
func (p *Partial) Unwrap() []error {
	var all []error
	for _, why := range plans.Sorted(p.Parts) {
		all = append(all, why)
	}
	return all
}
