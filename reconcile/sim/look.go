package sim

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// look brings the facts up to date. What cannot be seen stays as it was last
// seen and is marked blind.
func (w *world) look() {
	ctx, at := context.Background(), w.clock()
	f := &w.facts
	seen, foreign, err := w.runtime.Observe(ctx, Name)
	if f.Runtime = sight(f.Runtime, at, err); err == nil {
		f.Instances, f.Foreign = seen, foreign[Name]
	}
	w.watch(f.Instances)
	routes, _, err := w.router.Observe(ctx, Name)
	if f.Router = sight(f.Router, at, err); err == nil {
		f.Route = routes[Name]
	}
	data, err := w.storage.Observe(ctx, Name)
	if f.Storage = sight(f.Storage, at, err); err == nil {
		f.Datasets = data
	}
}

func sight(was observed.Sight, at time.Time, err error) observed.Sight {
	if err != nil {
		was.Err = observed.Wrap("look", "", observed.Environment, err, "")
		return was
	}
	return observed.Sight{At: at}
}

// sorted returns the keys of a map in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
