package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// The daemon keeps much and allocates little. Letting the heap grow by half before
// it is collected, not to twice its size, costs next to nothing; and so does giving
// back now and then what a pass or a look at everything left behind, and the pages
// of the journal that were read: one collection, a tenth of a second of processor
// time with ten thousand tenants.
const (
	heapGrowth    = 25 // percent
	giveBackEvery = 10 * time.Minute
)

// growSlowly sets how far the heap grows. A host that sets GOGC has its own way.
func growSlowly() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// giveBack gives memory that is of no use any more back to the host, now and then
// until ctx ends.
func giveBack(ctx context.Context, store journal.Store, log *slog.Logger) error {
	t := time.NewTicker(giveBackEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.C:
			debug.FreeOSMemory()
			if err := store.GiveBack(); err != nil {
				log.Warn("memory not given back", "err", err)
			}
		}
	}
}
