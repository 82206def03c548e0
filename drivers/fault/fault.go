// Package fault decorates drivers so that they fail as the world does: a
// request that never arrives, a reply that nobody hears, an effect that comes
// late, a look that sees nothing. What fails is decided by a function handed
// in, so that a run can be repeated.
package fault

import (
	"context"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Fault is what happens to one call.
type Fault int

// The faults. The caller of a call with any of them gets an error.
const (
	None        Fault = iota
	LostRequest       // it never arrived: nothing happened (Transient)
	LostReply         // it happened and nobody heard (Transient)
	Late              // it happens when the rest of the world has moved on (Transient)
	Blind             // the other side is down: nothing happened (Environment)
)

func (f Fault) String() string {
	return [...]string{"none", "lostRequest", "lostReply", "late", "blind"}[f]
}

// Op names a call: the part of the host and the method, "runtime.Start".
type Op string

// Look says that the call changes nothing.
func (o Op) Look() bool { return looks[o] }

var looks = map[Op]bool{
	"runtime.Observe": true, "runtime.Present": true, "runtime.Exec": true, "runtime.Listens": true,
	"runtime.ImageHealth": true, "runtime.Logs": true, "runtime.Watch": true,
	"router.Observe": true, "router.Check": true,
	"storage.Observe": true, "storage.Free": true,
	"prober.Probe": true,
}

// Faults decides and delays.
type Faults struct {
	// Decide says what happens to a call; ref is what it is about. It may be
	// asked by several goroutines. Any fault of a look is a Blind one.
	Decide func(op Op, ref string) Fault
	// Later is handed the effects that come late, to be run by and by. Nil: a
	// late effect never comes, which is a lost request.
	Later func(effect func())
}

// call carries out a call under the fault that is decided for it.
func (f Faults) call(ctx context.Context, op Op, ref string, do func(context.Context) error) error {
	fault := f.Decide(op, ref)
	if fault != None && op.Look() {
		fault = Blind
	}
	switch fault {
	case None:
		return do(ctx)
	case LostReply:
		if err := do(ctx); err != nil {
			return err // the other side's no is a reply like any other, and this one came
		}
	case Late:
		if f.Later != nil {
			late := context.WithoutCancel(ctx)
			f.Later(func() { _ = do(late) }) // nobody is there to hear of it
		}
	case Blind:
		return &observed.Problem{Op: string(op), Ref: ref, Class: observed.Environment, Text: "it does not answer"}
	}
	return &observed.Problem{Op: string(op), Ref: ref, Class: observed.Transient, Text: "no answer in time"}
}
