package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

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
type usage struct{ error }

// fail prints err the way the output format asks for, and returns the exit code.
func fail(ctx context.Context, err error, format string, stdout, stderr io.Writer) int {
	var s status
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &s):
		return int(s)
	case errors.Is(context.Cause(ctx), errInterrupted):
		fmt.Fprintln(stderr, "interrupted: what was under way is looked at again by the next pass")
		return exitInterrupted
	}
	hint := ""
	var p *observed.Problem
	var u usage
	switch {
	case errors.As(err, &p):
		hint = p.Hint
	case errors.As(err, &u):
		hint = "run `reconcile --help`"
	}
	if format == "json" {
		out := map[string]string{"error": err.Error()}
		if hint != "" {
			out["hint"] = hint
		}
		b, _ := json.Marshal(out) // two strings always marshal
		fmt.Fprintln(stdout, string(b))
		return exitError
	}
	fmt.Fprintln(stderr, "error: "+err.Error())
	if hint != "" {
		fmt.Fprintln(stderr, "  → "+hint)
	}
	return exitError
}
