package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Exit codes, listed in every verb's help.
const (
	exitDone        = 0   // done, or nothing to do
	exitError       = 1   // an error
	exitChanges     = 2   // there are changes, or drift
	exitBlocked     = 3   // a tenant is held back, or a question is open
	exitInterrupted = 130 // by a signal
)

const exitHelp = `Exit status:
  0    done, or nothing to change
  1    an error; it says what to do
  2    there are changes (--dry-run) or drift (drift)
  3    blocked: a tenant is held back, or a question waits for an answer
  130  interrupted
`

// status is an exit code that is no error to print: the view said it all.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usage is a mistake on the command line.
type usage struct {
	error
	hint string // "": the help
}

// failure is an error as JSON.
type failure struct {
	Error    string          `json:"error"`
	Hint     string          `json:"hint,omitempty"`
	Class    observed.Class  `json:"class,omitempty"` // of errors of drivers and sources
	Problems []plans.Problem `json:"problems,omitempty"`
}

func describe(err error) failure {
	f := failure{Error: err.Error()}
	var problem *observed.Problem
	var bad refusedPlan
	var mistake usage
	switch {
	case errors.As(err, &problem):
		f.Hint, f.Class = problem.Hint, problem.Class
	case errors.As(err, &bad):
		f.Problems = bad.problems
		f.Error = bad.what + " is refused, " + counted(len(bad.problems), "problem")
	case errors.As(err, &mistake):
		f.Hint = "run `reconcile --help`"
		if mistake.hint != "" {
			f.Hint = mistake.hint
		}
	}
	return f
}

// fail prints err the way the output format asks for, and returns the exit code.
func (p *program) fail(ctx context.Context, err error) int {
	var s status
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &s):
		return int(s)
	case errors.Is(context.Cause(ctx), errInterrupted):
		if p.passing != "" {
			fmt.Fprintln(p.stderr, "interrupted: "+p.passing)
		}
		return exitInterrupted
	}
	f := describe(err)
	if p.format == "json" {
		if err := p.json(f); err != nil {
			fmt.Fprintln(p.stderr, "error: "+err.Error())
		}
		return exitError
	}
	fmt.Fprintln(p.stderr, "error: "+err.Error())
	if f.Hint != "" {
		fmt.Fprintln(p.stderr, "  → "+f.Hint)
	}
	return exitError
}

// json prints one value as JSON.
func (p *program) json(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
