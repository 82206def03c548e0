package mem

import (
	"slices"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Content returns the ids of the writes that are in a dataset, oldest first.
func (h *Host) Content(dataset string) []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.data[dataset]; d != nil {
		return slices.Clone(d.content)
	}
	return nil
}

// Write puts a write into a dataset, as something on the host would.
func (h *Host) Write(dataset string, id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.data[dataset]
	if d == nil || d.of != nil {
		return false
	}
	d.content = append(d.content, id)
	d.seen.Written++
	return true
}

// Use marks a dataset as used by something that is no instance; by "" frees it.
func (h *Host) Use(dataset, by string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.data[dataset]; d != nil {
		d.use = by
	}
}

// HalfMade has the making of the next n datasets break off halfway: what is there
// of them is not ready, until they are ordered again.
func (h *Host) HalfMade(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.halves = n
}

// HalfDestroyed has the next n destroys break off halfway: what is left is doomed.
func (h *Host) HalfDestroyed(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remains = n
}

// ForeignData says whether data that is not ours stands where the tenant's
// volume would be made.
func (h *Host) ForeignData(tenant, volume string, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inTheWay[tenant+"/"+volume] = there
}

// SetFree sets the space for new data, in bytes. Where there is none, what is
// written breaks off in the middle: data are left half made, an image is not
// pulled, a new instance not started. What is there already goes on, starts again
// and can be destroyed.
func (h *Host) SetFree(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = bytes
}

// room begins a write of something new.
func (h *Host) room(op, ref string) error {
	if h.free > 0 {
		return nil
	}
	return &observed.Problem{Op: op, Ref: ref, Class: observed.Environment, Full: true, Text: "no space left on device",
		Hint: "free some space on this host, then it goes on by itself"}
}

// LoseData destroys a dataset without asking, as a person or a disk would.
func (h *Host) LoseData(dataset string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.data[dataset]
	if d == nil {
		return false
	}
	t := h.tenants[d.seen.Tenant]
	n, _ := t.findData(dataset)
	t.datasets = slices.Delete(t.datasets, n, n+1)
	delete(h.data, dataset)
	h.drop(d.seen.Tenant)
	return true
}
