package mem

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// instance is one instance of the host. seen is what the runtime shows of it;
// the rest is what the engine knows besides. It keeps no copy of its order.
type instance struct {
	seen    observed.Instance
	as      Image
	restart string // as in the order: "", onFailure, never
	binds   []plans.Bind
	stopped bool      // by a call, so that the engine leaves it alone
	due     time.Time // of the next thing the engine does to it; zero: nothing
	well    *bool     // health by SetHealth, over the image's own
}

func compareKeys(a, b plans.Key) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Service, b.Service))
}

func (t *tenant) find(key plans.Key) (int, bool) {
	return slices.BinarySearchFunc(t.instances, key, func(i *instance, k plans.Key) int {
		return compareKeys(i.seen.Key, k)
	})
}

// instance returns the instance as it is by now, or nil.
func (h *Host) instance(key plans.Key) *instance {
	t := h.tenants[key.Tenant]
	if t == nil {
		return nil
	}
	n, ok := t.find(key)
	if !ok {
		return nil
	}
	h.settle(t.instances[n])
	return t.instances[n]
}

// restarts says whether the engine starts it again after it ended with code.
func (i *instance) restarts(code int) bool {
	if i.seen.Job || i.stopped || !i.seen.Routed {
		return false
	}
	return i.restart == "" || i.restart == "always" || i.restart == "onFailure" && code != 0
}

// launch makes it run (or start) from at on.
func (h *Host) launch(i *instance, at time.Time) {
	i.stopped, i.seen.Restarting, i.seen.Exit = false, false, 0
	i.seen.Phase = observed.Starting
	i.seen.Started = at
	i.due = at.Add(i.as.Create)
}

// settle lets everything happen to i that is due by now, in order.
func (h *Host) settle(i *instance) {
	now := h.now()
	for !i.due.IsZero() && !i.due.After(now) {
		at := i.due
		i.due = time.Time{}
		switch i.seen.Phase {
		case observed.Starting:
			i.seen.Phase, i.seen.Started = observed.Running, at
			for _, port := range i.seen.Ports {
				h.ports[port] = i
			}
			if i.as.Exits || i.seen.Job {
				i.due = at.Add(i.as.Exit)
			}
		case observed.Running:
			h.end(i, i.as.Code, at)
		case observed.Exited:
			i.seen.Restarts++
			h.launch(i, at)
		}
		h.changed(i.seen.Tenant)
	}
}

// The engine waits longer after each restart, as Docker does: 100 ms, doubled
// up to one minute.
const (
	firstBackoff = 100 * time.Millisecond
	mostBackoff  = time.Minute
)

// end ends the process with code at the given time, and has the engine start
// it again where it would.
func (h *Host) end(i *instance, code int, at time.Time) {
	i.seen.Phase, i.seen.Exit, i.due = observed.Exited, code, time.Time{}
	for _, port := range i.seen.Ports {
		if h.ports[port] == i {
			delete(h.ports, port)
		}
	}
	if t := h.tenants[i.seen.Tenant]; t != nil && t.route != nil {
		t.route.fail(i)
	}
	if i.seen.Restarting = h.traits.Restarts && i.restarts(code); i.seen.Restarting {
		wait := mostBackoff
		if i.seen.Restarts < 10 {
			wait = min(mostBackoff, firstBackoff<<i.seen.Restarts)
		}
		i.due = at.Add(wait)
	}
	h.changed(i.seen.Tenant)
}

// well says whether i answers its probes well now, and whether at all.
func (h *Host) well(i *instance) (well, atAll bool) {
	switch {
	case i.seen.Phase != observed.Running:
		return false, false
	case i.well != nil:
		return *i.well, true
	}
	return i.as.answers(h.now().Sub(i.seen.Started))
}

// uses says whether i mounts the host path or something in it.
func (i *instance) uses(path string) bool {
	for _, b := range i.binds {
		if b.Host == path || strings.HasPrefix(b.Host, path+"/") {
			return true
		}
	}
	return false
}

// writes says whether i mounts it writable.
func (i *instance) writes(path string) bool {
	for _, b := range i.binds {
		if !b.ReadOnly && (b.Host == path || strings.HasPrefix(b.Host, path+"/")) {
			return true
		}
	}
	return false
}
