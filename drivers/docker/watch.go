package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// watched are the events after which an instance may look different. Those of
// exec are not among them: a probe by exec would wake its own observer.
var watched = []events.Action{
	events.ActionCreate, events.ActionStart, events.ActionDie, events.ActionOOM, events.ActionDestroy,
	events.ActionPause, events.ActionUnPause, events.ActionUpdate, events.ActionRename, events.ActionHealthStatus,
}

// Watch implements drivers.Runtime over the engine's event stream. It returns
// when the stream breaks, as it does when the engine stops.
func (r *Runtime) Watch(ctx context.Context, changed func(tenant string)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	filters := r.filters(plans.Key{}).Add("type", string(events.ContainerEventType))
	for _, action := range watched {
		filters.Add("event", string(action))
	}
	// The engine answers before it subscribes; since closes that gap.
	now := time.Now()
	stream := r.cli.Events(ctx, client.EventsListOptions{
		Filters: filters, Since: fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()),
	})
	defer r.cache.listen()()
	for {
		select {
		case m := <-stream.Messages:
			r.cache.drop(m.Actor.ID)
			if tenant := m.Actor.Attributes[labelTenant]; tenant != "" {
				changed(tenant)
			}
		case err := <-stream.Err:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return r.problem("watch", "containers", err)
		}
	}
}
