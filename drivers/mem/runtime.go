package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Runtime is the host's runtime as one process of ours sees it.
type Runtime struct{ h *Host }

// Runtime returns the host's runtime.
func (h *Host) Runtime() *Runtime { return &Runtime{h} }

var _ drivers.Runtime = (*Runtime)(nil)

// Traits are those of the host's Config.
func (r *Runtime) Traits() drivers.Traits { return r.h.traits }

// Observe implements drivers.Runtime.
func (r *Runtime) Observe(ctx context.Context, tenants ...string) ([]observed.Instance, map[string][]string, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartRuntime, "observe", "instances"); err != nil {
		return nil, nil, err
	}
	var seen []observed.Instance
	foreign := map[string][]string{}
	for _, name := range h.named(tenants) {
		t := h.tenants[name]
		if t == nil {
			continue
		}
		for _, i := range t.instances {
			h.settle(i)
			seen = append(seen, i.seen)
		}
		for _, what := range t.foreign {
			foreign[name] = append(foreign[name], what)
		}
		slices.Sort(foreign[name])
	}
	return seen, foreign, nil
}

// Pull implements drivers.Runtime.
func (r *Runtime) Pull(ctx context.Context, image string, progress func(drivers.Progress)) error {
	pulled, err := r.pull(ctx, image)
	if pulled && progress != nil {
		// Not under the lock: who is told may be one whom another waits for that
		// looks at this host.
		progress(drivers.Progress{What: image, Done: 1, Total: 1})
	}
	return err
}

func (r *Runtime) pull(ctx context.Context, image string) (pulled bool, err error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRuntime, "pull", image); err != nil {
		return false, err
	}
	if h.images[digestOf(image)] {
		return false, nil
	}
	if err := h.read(ctx, PartRegistry, "pull", image); err != nil {
		return false, err
	}
	switch as := h.image(image); {
	case as.Missing:
		return false, refused("pull", image, "the registry has no such image", "look whether it was pushed, and whether the digest is right")
	case as.Denied:
		return false, refused("pull", image, "the registry denies access", "log this host in to the registry")
	case as.OtherPlatform:
		return false, refused("pull", image, "the image is for another platform", "build it for this host's platform")
	}
	if err := h.room("pull", image); err != nil {
		return false, err
	}
	h.images[digestOf(image)] = true
	return true, nil
}

// Present implements drivers.Runtime.
func (r *Runtime) Present(ctx context.Context, image string) (bool, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartRuntime, "inspect", image); err != nil {
		return false, err
	}
	return h.images[digestOf(image)], nil
}

// Start implements drivers.Runtime.
func (r *Runtime) Start(ctx context.Context, id string, want plans.Instance) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	ref := want.Key.String()
	if err := h.write(ctx, PartRuntime, "start", ref); err != nil {
		return err
	}
	if what := h.foreign(want.Key); what != "" {
		return foreignProblem("start", ref, what)
	}
	if i := h.instance(want.Key); i != nil {
		return h.again(i, want)
	}
	if !h.images[digestOf(want.Spec.Image)] {
		return refused("start", ref, "the image "+want.Spec.Image+" is not on this host", "pull it first")
	}
	if port, owner := h.portTaken(want); owner != "" {
		return refused("start", ref, fmt.Sprintf("port %d is taken by %s", port, owner), "free the port, or give the slot another one")
	}
	if err := h.room("start", ref); err != nil {
		return err
	}
	t := h.tenant(want.Tenant)
	n, _ := t.find(want.Key)
	i := &instance{
		as: h.image(want.Spec.Image), restart: want.Spec.Restart,
		seen: observed.Instance{
			Key: want.Key, ID: h.id(), Digest: want.Digest, Generation: want.Generation, Attempt: want.Attempt,
			Image: digestOf(want.Spec.Image), Job: want.Spec.Job != nil, Routed: want.Routed, Ports: want.Ports,
		},
	}
	for _, path := range slices.Sorted(maps.Keys(want.Volumes)) {
		i.binds = append(i.binds, want.Volumes[path])
	}
	t.instances = slices.Insert(t.instances, n, i)
	h.launch(i, h.now())
	h.settle(i)
	h.changed(want.Tenant)
	return nil
}

// again starts an instance that exists, if it is the one that is wanted.
func (h *Host) again(i *instance, want plans.Instance) error {
	ref := want.Key.String()
	switch {
	case i.seen.Digest != want.Digest:
		return conflict("start", ref, fmt.Sprintf("it exists with service digest %s, not %s", i.seen.Digest, want.Digest))
	case i.seen.Generation != want.Generation:
		return conflict("start", ref, fmt.Sprintf("it exists with generation %s, not %s", i.seen.Generation, want.Generation))
	case i.seen.Job && i.seen.Attempt != want.Attempt:
		return conflict("start", ref, fmt.Sprintf("the job is there from attempt %s, not %s", i.seen.Attempt, want.Attempt))
	case !maps.Equal(i.seen.Ports, want.Ports):
		return conflict("start", ref, "it exists with other ports")
	case !sameBinds(i.binds, want.Volumes):
		return conflict("start", ref, "it exists with other volumes")
	}
	if i.seen.Routed != want.Routed {
		i.seen.Routed = want.Routed
		h.changed(want.Tenant)
	}
	if i.seen.Job || i.seen.Phase != observed.Exited {
		return nil
	}
	h.launch(i, h.now())
	h.settle(i)
	h.changed(want.Tenant)
	return nil
}

func sameBinds(have []plans.Bind, want map[string]plans.Bind) bool {
	var binds []plans.Bind
	for _, path := range slices.Sorted(maps.Keys(want)) {
		binds = append(binds, want[path])
	}
	return slices.Equal(have, binds)
}

// Stop implements drivers.Runtime. It takes no time; a Deaf process leaves 137.
func (r *Runtime) Stop(ctx context.Context, id string, key plans.Key, grace time.Duration) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRuntime, "stop", key.String()); err != nil {
		return err
	}
	if what := h.foreign(key); what != "" {
		return foreignProblem("stop", key.String(), what)
	}
	if i := h.instance(key); i != nil {
		h.stop(i)
	}
	return nil
}

// stop ends i and keeps the engine from starting it again.
func (h *Host) stop(i *instance) {
	i.stopped = true
	if i.seen.Phase == observed.Exited {
		i.seen.Restarting, i.due = false, time.Time{}
		return
	}
	code := 0
	if i.as.Deaf {
		code = 137
	}
	h.end(i, code, h.now())
}

// Remove implements drivers.Runtime.
func (r *Runtime) Remove(ctx context.Context, id string, key plans.Key) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRuntime, "remove", key.String()); err != nil {
		return err
	}
	if what := h.foreign(key); what != "" {
		return foreignProblem("remove", key.String(), what)
	}
	h.remove(key)
	return nil
}

func (h *Host) remove(key plans.Key) {
	i := h.instance(key)
	if i == nil {
		return
	}
	h.stop(i)
	t := h.tenants[key.Tenant]
	n, _ := t.find(key)
	t.instances = slices.Delete(t.instances, n, n+1)
	h.changed(key.Tenant)
	h.drop(key.Tenant)
}

// SetRouted implements drivers.Runtime.
func (r *Runtime) SetRouted(ctx context.Context, id string, key plans.Key, routed bool) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRuntime, "set routed", key.String()); err != nil {
		return err
	}
	if what := h.foreign(key); what != "" {
		return foreignProblem("set routed", key.String(), what)
	}
	i := h.instance(key)
	if i == nil {
		return conflict("set routed", key.String(), "there is no such instance")
	}
	if i.seen.Routed != routed {
		i.seen.Routed = routed
		h.changed(key.Tenant)
	}
	return nil
}

// Exec implements drivers.Runtime. A command that ends in "exit N" exits N; any
// other exits 0 in an instance that is well, else 1.
func (r *Runtime) Exec(ctx context.Context, key plans.Key, command []string) (int, string, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	i, err := h.running(ctx, "exec", key)
	if err != nil {
		return 0, "", err
	}
	if n := len(command); n >= 2 && command[n-2] == "exit" {
		code, err := strconv.Atoi(command[n-1])
		return code, "", err
	}
	if well, _ := h.well(i); !well {
		return 1, "not well", nil
	}
	return 0, "", nil
}

// Listens implements drivers.Runtime.
func (r *Runtime) Listens(ctx context.Context, key plans.Key, port int) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	i, err := h.running(ctx, "look at the port of", key)
	if err != nil {
		return err
	}
	if owner := h.portOwner(port); h.ports[port] != i || h.taken[port] != "" {
		return conflict("look at the port of", key.String(), fmt.Sprintf("port %d is answered by %s", port, owner))
	}
	if _, atAll := h.well(i); !atAll {
		return conflict("look at the port of", key.String(), fmt.Sprintf("port %d is answered by nobody", port))
	}
	return nil
}

// ImageHealth implements drivers.Runtime.
func (r *Runtime) ImageHealth(ctx context.Context, key plans.Key) (observed.Verdict, string, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	i, err := h.running(ctx, "look at the health of", key)
	if err != nil {
		return observed.Unproven, "", err
	}
	switch well, atAll := h.well(i); {
	case well:
		return observed.Healthy, "well", nil
	case atAll:
		return observed.Failing, "not well", nil
	}
	return observed.Unproven, "starting", nil
}

// Logs implements drivers.Runtime.
func (r *Runtime) Logs(ctx context.Context, key plans.Key, lines int) (string, error) {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartRuntime, "read the log of", key.String()); err != nil {
		return "", err
	}
	if i := h.instance(key); i != nil {
		return i.as.Log, nil
	}
	return "", conflict("read the log of", key.String(), "there is no such instance")
}

// Prune implements drivers.Runtime.
func (r *Runtime) Prune(ctx context.Context, keep []string, tenants []string) error {
	h := r.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartRuntime, "prune", "images"); err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, image := range keep {
		kept[digestOf(image)] = true
	}
	for _, t := range h.tenants {
		for _, i := range t.instances {
			kept[i.seen.Image] = true // an engine keeps what is in use
		}
	}
	maps.DeleteFunc(h.images, func(image string, _ bool) bool { return !kept[image] })
	return nil
}

// running returns a running instance of ours.
func (h *Host) running(ctx context.Context, op string, key plans.Key) (*instance, error) {
	if err := h.read(ctx, PartRuntime, op, key.String()); err != nil {
		return nil, err
	}
	i := h.instance(key)
	if i == nil || i.seen.Phase != observed.Running {
		return nil, conflict(op, key.String(), "it does not run")
	}
	return i, nil
}

func (h *Host) foreign(key plans.Key) string {
	if t := h.tenants[key.Tenant]; t != nil {
		return t.foreign[key]
	}
	return ""
}

func foreignProblem(op, ref, what string) error {
	return refused(op, ref, what+" has our name and not our mark", "rename or remove it, if it is not needed")
}
