package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// route is a tenant's entry in the table, and what its requests did.
type route struct {
	entry    plans.Entry
	revision uint64
	holdSeen time.Time // when the table first saw Hold.ID
	expired  bool
	usage    map[plans.Slot]*observed.Usage
	waiting  []*Request
	open     []*Request
}

// Router is the host's router as one process of ours sees it.
type Router struct{ h *Host }

// Router returns the host's router.
func (h *Host) Router() *Router { return &Router{h} }

var _ drivers.Router = (*Router)(nil)

// Observe implements drivers.Router.
func (r *Router) Observe(ctx context.Context, tenants ...string) (map[string]observed.Route, string, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartRouter, "observe", "routes"); err != nil {
		return nil, "", err
	}
	routes := map[string]observed.Route{}
	for _, name := range h.named(tenants) {
		if t := h.tenants[name]; t != nil && t.route != nil {
			h.settleRoute(t.route)
			routes[name] = t.route.show()
		}
	}
	return routes, h.owner, nil
}

func (r *route) show() observed.Route {
	out := observed.Route{
		Entry: cloneEntry(r.entry), Revision: r.revision,
		Held: r.entry.Hold != nil && !r.expired, Expired: r.expired, Waiting: len(r.waiting),
	}
	for slot, u := range r.usage {
		if out.Slots == nil {
			out.Slots = map[plans.Slot]observed.Usage{}
		}
		out.Slots[slot] = *u
	}
	return out
}

// Set implements drivers.Router.
func (r *Router) Set(ctx context.Context, id string, entry plans.Entry, rev uint64) (uint64, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRouter, "route", entry.Tenant); err != nil {
		return 0, err
	}
	t := h.tenant(entry.Tenant)
	defer h.drop(entry.Tenant)
	var have uint64
	if t.route != nil {
		h.settleRoute(t.route)
		if have = t.route.revision; sameEntry(t.route.entry, entry) {
			return have, nil
		}
	}
	if have != rev {
		return 0, conflict("route", entry.Tenant, fmt.Sprintf("the entry is at revision %d, not %d", have, rev))
	}
	if other, host := h.claimed(entry); other != "" {
		return 0, refused("route", entry.Tenant, fmt.Sprintf("%s is routed to tenant %s already", host, other), "give each host and path to one tenant")
	}
	return h.setEntry(t, entry), nil
}

// setEntry makes entry the tenant's; everything in it changes at once.
func (h *Host) setEntry(t *tenant, entry plans.Entry) uint64 {
	h.revision++
	if t.route == nil {
		t.route = &route{}
	}
	r := t.route
	h.unindex(r.entry)
	was := r.entry
	r.entry, r.revision = cloneEntry(entry), h.revision
	h.index(r.entry)
	if was.Slot != entry.Slot && entry.Slot != plans.NoSlot {
		delete(r.usage, entry.Slot) // counts are since the slot was last switched to
		for _, q := range r.open {
			if q.slot == entry.Slot {
				r.use(entry.Slot).InFlight++
			}
		}
	}
	if entry.Hold != nil && (was.Hold == nil || was.Hold.ID != entry.Hold.ID) {
		r.holdSeen, r.expired = h.now(), false
	}
	if entry.Hold == nil {
		r.expired = false
	}
	h.settleRoute(r)
	h.changed(entry.Tenant)
	return r.revision
}

// settleRoute lets a hold expire that is due, and lets go whom nothing holds.
func (h *Host) settleRoute(r *route) {
	if hold := r.entry.Hold; hold != nil && !r.expired {
		r.expired = !h.now().Before(r.holdSeen.Add(hold.Limit.Std()))
	}
	if r.entry.Hold != nil && !r.expired {
		return
	}
	waiting := r.waiting
	r.waiting = nil
	for _, q := range waiting {
		h.forward(r, q)
	}
}

// Delete implements drivers.Router.
func (r *Router) Delete(ctx context.Context, id string, tenant string, rev uint64) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRouter, "unroute", tenant); err != nil {
		return err
	}
	t := h.tenants[tenant]
	if t == nil || t.route == nil {
		return nil
	}
	if t.route.revision != rev {
		return conflict("unroute", tenant, fmt.Sprintf("the entry is at revision %d, not %d", t.route.revision, rev))
	}
	h.revision++
	h.unroute(tenant, t)
	return nil
}

func (h *Host) unroute(name string, t *tenant) {
	for _, q := range t.route.waiting {
		q.end(503)
	}
	for _, q := range t.route.open {
		q.end(0)
	}
	h.unindex(t.route.entry)
	t.route = nil
	h.changed(name)
	h.drop(name)
}

// Check implements drivers.Router.
func (r *Router) Check(ctx context.Context, host, path string) (drivers.Answer, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartRouter, "check", host+path); err != nil {
		return drivers.Answer{}, err
	}
	t, at := h.match(host, path)
	if t == nil {
		return drivers.Answer{Status: 404}, nil
	}
	a := drivers.Answer{Slot: t.route.entry.Slot, Revision: t.route.revision, Status: 200}
	if a.Slot == plans.NoSlot {
		a.Status = 503
	} else if i, _ := h.at(at.Address[a.Slot]); i == nil {
		a.Status = 502
	} else if well, atAll := h.well(i); !atAll {
		a.Status = 502
	} else if !well {
		a.Status = 500
	}
	return a, nil
}

// Cut implements drivers.Router.
func (r *Router) Cut(ctx context.Context, id string, tenant string, slot plans.Slot) (int, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRouter, "cut", tenant); err != nil {
		return 0, err
	}
	t := h.tenants[tenant]
	if t == nil || t.route == nil {
		return 0, nil
	}
	return t.route.cut(slot), nil
}

// Claim implements drivers.Router.
func (r *Router) Claim(ctx context.Context, controller string) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRouter, "claim", "the route table"); err != nil {
		return err
	}
	h.owner = controller
	return nil
}

// claimed returns another tenant that has one of the entry's hosts and paths.
func (h *Host) claimed(e plans.Entry) (tenant, host string) {
	for _, want := range e.Routes {
		for _, name := range h.hosts[want.Host] {
			if name == e.Tenant {
				continue
			}
			for _, have := range h.tenants[name].route.entry.Routes {
				if have.Host == want.Host && have.Path == want.Path {
					return name, want.Host + want.Path
				}
			}
		}
	}
	return "", ""
}

func (h *Host) index(e plans.Entry) {
	for _, r := range e.Routes {
		if !slices.Contains(h.hosts[r.Host], e.Tenant) {
			h.hosts[r.Host] = append(h.hosts[r.Host], e.Tenant)
		}
	}
}

func (h *Host) unindex(e plans.Entry) {
	for _, r := range e.Routes {
		left := slices.DeleteFunc(h.hosts[r.Host], func(name string) bool { return name == e.Tenant })
		if h.hosts[r.Host] = left; len(left) == 0 {
			delete(h.hosts, r.Host)
		}
	}
}

// match finds the tenant and its route with the longest prefix of path.
func (h *Host) match(host, path string) (*tenant, plans.EntryRoute) {
	var found *tenant
	var at plans.EntryRoute
	for _, name := range h.hosts[host] {
		t := h.tenants[name]
		h.settleRoute(t.route)
		n := best(t.route.entry.Routes, host, path)
		if n >= 0 && (found == nil || len(t.route.entry.Routes[n].Path) > len(at.Path)) {
			found, at = t, t.route.entry.Routes[n]
		}
	}
	return found, at
}

// best returns the index of the route with the longest prefix, or -1.
func best(routes []plans.EntryRoute, host, path string) int {
	found := -1
	for n, r := range routes {
		if r.Host == host && within(path, r.Path) && (found < 0 || len(r.Path) > len(routes[found].Path)) {
			found = n
		}
	}
	return found
}

// within says whether path lies under prefix, whole segments only.
func within(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

func cloneEntry(e plans.Entry) plans.Entry {
	e.Routes = slices.Clone(e.Routes)
	for i := range e.Routes {
		e.Routes[i].Address = maps.Clone(e.Routes[i].Address)
	}
	if e.Hold != nil {
		hold := *e.Hold
		e.Hold = &hold
	}
	return e
}

func sameEntry(a, b plans.Entry) bool {
	sameHold := a.Hold == b.Hold || a.Hold != nil && b.Hold != nil && *a.Hold == *b.Hold
	return a.Tenant == b.Tenant && a.Slot == b.Slot && sameHold &&
		slices.EqualFunc(a.Routes, b.Routes, func(x, y plans.EntryRoute) bool {
			return x.Host == y.Host && x.Path == y.Path && x.Service == y.Service && maps.Equal(x.Address, y.Address)
		})
}
