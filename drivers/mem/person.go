package mem

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// What follows happens to a host without us: by a person, by another program,
// or by itself. None of it is counted as a call.

// Kill ends an instance as a person with the engine's own tool does: the
// engine leaves it stopped.
func (h *Host) Kill(key plans.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instance(key)
	if i == nil || i.seen.Phase == observed.Exited {
		return false
	}
	i.stopped = true
	h.end(i, 137, h.now())
	return true
}

// Crash ends the process of an instance with the given code; the engine starts
// it again where it would.
func (h *Host) Crash(key plans.Key, code int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instance(key)
	if i == nil || i.seen.Phase == observed.Exited {
		return false
	}
	h.end(i, code, h.now())
	return true
}

// RemoveByHand removes an instance as a person would.
func (h *Host) RemoveByHand(key plans.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.instance(key) == nil {
		return false
	}
	h.remove(key)
	return true
}

// SetHealth overrides how a present instance answers its probes; nil gives the
// word back to its image.
func (h *Host) SetHealth(key plans.Key, well *bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instance(key)
	if i == nil {
		return false
	}
	i.well = well
	return true
}

// Foreign puts an object under the name of key that is not ours; what "" takes
// it away again.
func (h *Host) Foreign(key plans.Key, what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tenant(key.Tenant)
	if what == "" {
		delete(t.foreign, key)
	} else {
		if t.foreign == nil {
			t.foreign = map[plans.Key]string{}
		}
		t.foreign[key] = what
	}
	h.changed(key.Tenant)
	h.drop(key.Tenant)
}

// ForeignAt returns the foreign object under the name of key, or "".
func (h *Host) ForeignAt(key plans.Key) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.foreign(key)
}

// TakePort has a foreign process answer a loopback port; who "" frees it.
func (h *Host) TakePort(port int, who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if who == "" {
		delete(h.taken, port)
	} else {
		h.taken[port] = who
	}
}

// PortOwner returns who answers a loopback port, or "".
func (h *Host) PortOwner(port int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.portOwner(port)
}

func (h *Host) portOwner(port int) string {
	if who := h.taken[port]; who != "" {
		return who
	}
	if i := h.ports[port]; i != nil {
		return i.seen.Key.String()
	}
	return ""
}

// portTaken returns a port of the order that somebody else has.
func (h *Host) portTaken(want plans.Instance) (int, string) {
	for _, name := range slices.Sorted(maps.Keys(want.Ports)) {
		if owner := h.portOwner(want.Ports[name]); owner != "" && owner != want.Key.String() {
			return want.Ports[name], owner
		}
	}
	return 0, ""
}

// Down says whether a part of the host answers. Calls to a part that is down
// are Environment problems and change nothing.
func (h *Host) Down(p Part, down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down[p] = down
}

// EditRoute changes a tenant's entry behind our back; it returns false if there
// is none. The edit gets a revision like any other.
func (h *Host) EditRoute(tenant string, edit func(*plans.Entry)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tenants[tenant]
	if t == nil || t.route == nil {
		return false
	}
	h.settleRoute(t.route)
	e := cloneEntry(t.route.entry)
	edit(&e)
	h.setEntry(t, e)
	return true
}

// DropRoute removes a tenant's entry behind our back.
func (h *Host) DropRoute(tenant string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tenants[tenant]
	if t == nil || t.route == nil {
		return false
	}
	h.revision++
	h.unroute(tenant, t)
	return true
}

// RestartProxy restarts the data plane: open and waiting requests are lost, the
// table and the time a hold was first seen are kept.
func (h *Host) RestartProxy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range h.named(nil) {
		if t := h.tenants[name]; t.route != nil {
			h.settleRoute(t.route)
			t.route.lose()
		}
	}
}

func (r *route) lose() {
	for _, q := range append(slices.Clone(r.open), r.waiting...) {
		q.end(0)
	}
	r.open, r.waiting, r.usage = nil, nil, nil
}

// Reboot restarts the machine. Every process ends. An engine that restarts
// instances by itself starts those that were routed, ran, and are not meant to
// stay down; of other runtimes nothing runs until somebody starts it.
func (h *Host) Reboot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	for _, name := range h.named(nil) {
		t := h.tenants[name]
		if t.route != nil {
			h.settleRoute(t.route)
			t.route.lose()
		}
		for _, i := range t.instances {
			h.settle(i)
			again := h.traits.Restarts && !i.stopped && !i.seen.Job && i.seen.Routed &&
				(i.restart == "" || i.restart == "always") && (i.seen.Phase != observed.Exited || i.seen.Restarting)
			if i.seen.Phase != observed.Exited {
				h.end(i, 255, now)
			}
			i.seen.Restarting, i.due = false, time.Time{}
			if again {
				h.launch(i, now)
				h.settle(i)
			}
		}
	}
}

// SetFile writes a host file; RemoveFile takes it away.
func (h *Host) SetFile(path, content string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[path] = content
}

// RemoveFile removes a host file.
func (h *Host) RemoveFile(path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.files, path)
}

// ReadFile reads a host file.
func (h *Host) ReadFile(path string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	content, ok := h.files[path]
	if !ok {
		return nil, fmt.Errorf("open %s: no such file", path)
	}
	return []byte(content), nil
}

// Answers says whether a connection to a loopback port is accepted now.
func (h *Host) Answers(port int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken[port] != "" {
		return true
	}
	i := h.ports[port]
	if i == nil {
		return false
	}
	h.settle(i)
	_, atAll := h.well(i)
	return atAll
}
