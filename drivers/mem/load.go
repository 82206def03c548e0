package mem

import (
	"slices"
	"strconv"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Load fills the host with what was seen of a tenant somewhere else, in place
// of what it had of that tenant: the start of a dry-run. The images of what is
// there count as present. An instance that was proved Failing stays sick,
// every other one that runs is well; a job that runs ends well when the clock
// next moves. What was blind stays empty: whoever loads says so elsewhere.
func (h *Host) Load(name string, seen *observed.Tenant) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unload(name)
	t := h.tenant(name)
	defer h.drop(name)
	for _, s := range seen.Instances {
		h.loadInstance(t, s)
	}
	slices.SortFunc(t.instances, func(a, b *instance) int { return compareKeys(a.seen.Key, b.seen.Key) })
	for n, what := range seen.Foreign {
		if t.foreign == nil {
			t.foreign = map[plans.Key]string{}
		}
		// The service is not known; a number keeps the objects apart.
		t.foreign[plans.Key{Tenant: name, Service: "#" + strconv.Itoa(n)}] = what
	}
	if seen.Route.Entry.Tenant != "" {
		h.loadRoute(t, seen.Route)
	}
	for _, s := range seen.Datasets {
		d := &dataset{seen: s}
		d.seen.Holds = slices.Clone(s.Holds)
		if s.Busy {
			t.bind(s.Slot, s.Path)
		}
		d.seen.Clones, d.seen.Busy = nil, false
		h.insert(d)
	}
	for _, d := range t.datasets {
		if d.seen.Role == observed.Origin {
			if d.of = h.data[d.seen.Origin]; d.of == nil {
				d.of = &dataset{} // what it was taken of is gone
			}
		}
	}
}

// Truth returns what Load would need to make the tenant again: all that a look
// at the host as it is shows, even at parts that do not answer.
func (h *Host) Truth(name string) observed.Tenant {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := observed.Sight{At: h.now()}
	out := observed.Tenant{Runtime: at, Router: at, Storage: at}
	t := h.tenants[name]
	if t == nil {
		return out
	}
	for _, i := range t.instances {
		h.settle(i)
		seen := i.seen
		switch well, atAll := h.well(i); {
		case well:
			seen.Health.Verdict = observed.Healthy
		case atAll:
			seen.Health.Verdict = observed.Failing
		}
		out.Instances = append(out.Instances, seen)
	}
	for _, what := range t.foreign {
		out.Foreign = append(out.Foreign, what)
	}
	slices.Sort(out.Foreign)
	if t.route != nil {
		h.settleRoute(t.route)
		out.Route = t.route.show()
	}
	for _, d := range t.datasets {
		out.Datasets = append(out.Datasets, h.show(d))
	}
	return out
}

// bind has the instances of a slot that run use the path, since what they mount
// cannot be seen.
func (t *tenant) bind(slot plans.Slot, path string) {
	for _, i := range t.instances {
		if i.seen.Phase != observed.Exited && (i.seen.Slot == slot || slot == plans.Shared) {
			i.binds = append(i.binds, plans.Bind{Host: path})
		}
	}
}

func (h *Host) loadInstance(t *tenant, s observed.Instance) {
	i := &instance{seen: s}
	i.seen.Health = observed.Health{}
	i.stopped = s.Phase == observed.Exited && !s.Restarting
	i.as.Sick = s.Health.Verdict == observed.Failing
	h.images[s.Image] = true
	t.instances = append(t.instances, i)
	switch s.Phase {
	case observed.Starting:
		i.due = h.now()
	case observed.Running:
		for _, port := range s.Ports {
			h.ports[port] = i
		}
		if s.Job {
			i.due = h.now().Add(1)
		}
	case observed.Exited:
		if s.Restarting {
			i.due = h.now()
		}
	}
}

func (h *Host) loadRoute(t *tenant, seen observed.Route) {
	r := &route{entry: cloneEntry(seen.Entry), revision: seen.Revision, expired: seen.Expired, holdSeen: h.now()}
	h.revision = max(h.revision, seen.Revision)
	for slot, u := range seen.Slots {
		u.InFlight = 0 // in a dry-run open requests end at once
		*r.use(slot) = u
	}
	t.route = r
	h.index(r.entry)
}

// unload forgets a tenant without leaving a trace.
func (h *Host) unload(name string) {
	t := h.tenants[name]
	if t == nil {
		return
	}
	for _, i := range t.instances {
		for _, port := range i.seen.Ports {
			if h.ports[port] == i {
				delete(h.ports, port)
			}
		}
	}
	if t.route != nil {
		h.unindex(t.route.entry)
	}
	for _, d := range t.datasets {
		delete(h.data, d.seen.ID)
	}
	delete(h.tenants, name)
}
