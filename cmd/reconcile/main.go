// Command reconcile makes a host run what a git repository says: one isolated
// stack per tenant, upgraded one by one behind a proxy that drops no request.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/gitops-fleet/reconcile/drivers/process"
)

func main() {
	// The process runtime starts this very binary again as the shim of an
	// instance; then nothing of the command line below is meant.
	if process.Reexec() {
		return
	}
	ctx, stop := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop(errInterrupted)
		<-signals // a second one does not wait for what is under way
		os.Exit(exitInterrupted)
	}()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")
