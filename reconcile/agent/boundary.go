//go:build !chaos

package agent

import "github.com/gitops-fleet/reconcile/reconcile"

// A boundary is a place where a crash has an outcome of its own: before and
// after a turn is written down, before and after an action. Tests build with the
// tag chaos to have the process die at one; otherwise these do nothing.

func boundaryOfTurn(side, *turn) {}

func boundaryOfAction(side, *reconcile.Action) {}

type side bool

const (
	before side = false
	after  side = true
)
