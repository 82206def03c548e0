package mem

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// dataset is one piece of data: what the storage shows of it, and what is in it.
type dataset struct {
	seen    observed.Dataset
	of      *dataset // of a snapshot: whose it is (after a promotion, the clone's)
	content []uint64 // ids of the writes in it, oldest first
	use     string   // in use by this, beyond what instances mount
}

// Storage is the host's storage as one process of ours sees it.
type Storage struct{ h *Host }

// Storage returns the host's storage.
func (h *Host) Storage() *Storage { return &Storage{h} }

var _ drivers.Storage = (*Storage)(nil)

// Traits are those of the host's Config.
func (s *Storage) Traits() drivers.StorageTraits { return s.h.storage }

// Observe implements drivers.Storage.
func (s *Storage) Observe(ctx context.Context, tenants ...string) ([]observed.Dataset, error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartStorage, "observe", "datasets"); err != nil {
		return nil, err
	}
	var out []observed.Dataset
	for _, name := range h.named(tenants) {
		if t := h.tenants[name]; t != nil {
			for _, d := range t.datasets {
				out = append(out, h.show(d))
			}
		}
	}
	return out, nil
}

// show returns the dataset as a look shows it now.
func (h *Host) show(d *dataset) observed.Dataset {
	out := d.seen
	out.Busy = h.busy(d) != ""
	out.Clones = h.clones(d.seen.ID, d.seen.Tenant)
	out.Holds = slices.Clone(d.seen.Holds)
	return out
}

// busy says by what the dataset is in use, or "".
func (h *Host) busy(d *dataset) string {
	if d.use != "" {
		return d.use
	}
	if d.seen.Path == "" {
		return ""
	}
	for _, i := range h.tenants[d.seen.Tenant].instances {
		h.settle(i)
		if i.seen.Phase != observed.Exited && i.uses(d.seen.Path) {
			return i.seen.Key.String()
		}
	}
	return ""
}

func (h *Host) clones(id, tenant string) []string {
	var out []string
	for _, d := range h.tenants[tenant].datasets {
		if d.seen.Origin == id {
			out = append(out, d.seen.ID)
		}
	}
	return out
}

// Create implements drivers.Storage.
func (s *Storage) Create(ctx context.Context, id string, want drivers.VolumeOrder) (observed.Dataset, error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	ref := want.Tenant + "/" + want.Name
	if err := h.write(ctx, PartStorage, "create", ref); err != nil {
		return observed.Dataset{}, err
	}
	d := h.made(want, "")
	if d != nil && d.seen.Ready {
		return h.show(d), nil
	}
	if d == nil && h.inTheWay[ref] {
		return observed.Dataset{}, refused("create", ref, "there is data at "+want.Volume.Source+" that is not ours", "set import: true on the volume to take it over, or move it away")
	}
	if d == nil {
		d = h.add(want, nil)
	}
	if err := h.finish(d, "create"); err != nil {
		return observed.Dataset{}, err
	}
	return h.show(d), nil
}

// finish makes the dataset whole, or leaves it half made where it was told to or
// there is no room for it.
func (h *Host) finish(d *dataset, op string) error {
	if err := h.room(op, d.seen.ID); err != nil {
		d.seen.Ready = false
		return err
	}
	d.seen.Ready = h.halves == 0
	if d.seen.Ready {
		return nil
	}
	h.halves--
	return &observed.Problem{Op: op, Ref: d.seen.ID, Class: observed.Transient, Text: "it was interrupted"}
}

// made finds the dataset made for the order before, from the given origin.
func (h *Host) made(want drivers.VolumeOrder, origin string) *dataset {
	t := h.tenants[want.Tenant]
	if t == nil {
		return nil
	}
	for _, d := range t.datasets {
		// A live volume is found by every later attempt, but for a fresh one
		// and for a clone: of those each attempt has its own.
		same := d.seen.Attempt == want.Attempt || origin == "" && want.Volume.OnUpgrade != plans.Fresh
		if same && d.of == nil && d.seen.Volume == want.Name && d.seen.Slot == want.Slot &&
			d.seen.Role == want.Role && (origin == "" || d.seen.Origin == origin) {
			return d
		}
	}
	return nil
}

// add makes the dataset of an order, as a clone of from if that is not nil.
func (h *Host) add(want drivers.VolumeOrder, from *dataset) *dataset {
	d := &dataset{seen: observed.Dataset{
		ID: h.dataName(want), Tenant: want.Tenant, Volume: want.Name, Slot: want.Slot, Role: want.Role,
		Attempt: want.Attempt, Generation: want.Generation, Ready: true, Imported: want.Volume.Import && from == nil, Created: h.now(), Bytes: -1,
	}}
	d.seen.Path = "/mem/" + d.seen.ID
	if h.storage.Tuned {
		d.seen.Tuning = want.Volume.Tuning()
	}
	if from != nil {
		d.seen.Origin, d.content = from.seen.ID, slices.Clone(from.content)
	}
	h.insert(d)
	return d
}

func (h *Host) insert(d *dataset) {
	t := h.tenant(d.seen.Tenant)
	n, _ := t.findData(d.seen.ID)
	t.datasets = slices.Insert(t.datasets, n, d)
	h.data[d.seen.ID] = d
}

func (t *tenant) findData(id string) (int, bool) {
	return slices.BinarySearchFunc(t.datasets, id, func(d *dataset, id string) int { return cmp.Compare(d.seen.ID, id) })
}

// living is the dataset, nil where there is none but for what a destroy left.
func (h *Host) living(name string) *dataset {
	d := h.data[name]
	if d == nil || d.seen.Doomed {
		return nil
	}
	return d
}

// dataName is a free name for the order's dataset.
func (h *Host) dataName(want drivers.VolumeOrder) string {
	name := want.Tenant + "/" + want.Name + "/" + string(want.Slot)
	if want.Attempt != "" {
		name += "-" + strings.ReplaceAll(want.Attempt, "/", "-")
	}
	if want.Role == observed.Rehearsal {
		name += "-rehearsal"
	}
	for n, free := 2, name; ; n++ {
		if h.data[free] == nil {
			return free
		}
		free = fmt.Sprintf("%s-%d", name, n)
	}
}

// Snapshot implements drivers.Storage.
func (s *Storage) Snapshot(ctx context.Context, id string, attempt string, datasets []string, progress func(drivers.Progress)) ([]observed.Dataset, error) {
	taken, err := s.snapshot(ctx, attempt, datasets)
	if err == nil && progress != nil {
		progress(drivers.Progress{What: strings.Join(datasets, ", "), Done: 1, Total: 1}) // not under the lock, as in Pull
	}
	return taken, err
}

func (s *Storage) snapshot(ctx context.Context, attempt string, datasets []string) ([]observed.Dataset, error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	ref := strings.Join(datasets, ", ")
	if err := h.write(ctx, PartStorage, "snapshot", ref); err != nil {
		return nil, err
	}
	for _, name := range datasets {
		switch d := h.living(name); {
		case d == nil:
			return nil, conflict("snapshot", name, "there is no such dataset")
		case d.of != nil:
			return nil, refused("snapshot", name, "it is a snapshot itself", "")
		}
	}
	var out []observed.Dataset
	for _, name := range datasets {
		snap := name + "@" + attempt
		s := h.living(snap)
		if s == nil {
			d := h.data[name]
			h.removeData(snap) // what a destroy left of it
			s = &dataset{of: d, seen: observed.Dataset{
				ID: snap, Tenant: d.seen.Tenant, Volume: d.seen.Volume, Slot: d.seen.Slot, Role: observed.Origin, Origin: name,
				Attempt: attempt, Generation: d.seen.Generation,
			}}
			h.insert(s)
		}
		if !s.seen.Ready {
			if err := h.finish(s, "snapshot"); err != nil {
				return nil, err
			}
			s.content, s.seen.Created, s.seen.Bytes = slices.Clone(s.of.content), h.now(), s.of.seen.Bytes
			s.of.seen.Written = 0
		}
		out = append(out, h.show(h.data[snap]))
	}
	return out, nil
}

// Clone implements drivers.Storage.
func (s *Storage) Clone(ctx context.Context, id string, snapshot string, want drivers.VolumeOrder, progress func(drivers.Progress)) (observed.Dataset, error) {
	seen, err := s.clone(ctx, snapshot, want)
	if err == nil && progress != nil {
		progress(drivers.Progress{What: seen.ID, Done: 1, Total: 1}) // not under the lock, as in Pull
	}
	return seen, err
}

func (s *Storage) clone(ctx context.Context, snapshot string, want drivers.VolumeOrder) (observed.Dataset, error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartStorage, "clone", snapshot); err != nil {
		return observed.Dataset{}, err
	}
	from := h.living(snapshot)
	if from == nil || from.of == nil {
		return observed.Dataset{}, conflict("clone", snapshot, "there is no such snapshot")
	}
	d := h.made(want, snapshot)
	switch {
	case d == nil:
		d = h.add(want, from)
	case d.seen.Ready:
		return h.show(d), nil
	}
	if err := h.finish(d, "clone"); err != nil {
		return observed.Dataset{}, err
	}
	return h.show(d), nil
}

// SetRole implements drivers.Storage.
func (s *Storage) SetRole(ctx context.Context, id string, name string, role observed.Role, slot plans.Slot) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartStorage, "set role", name); err != nil {
		return err
	}
	d := h.living(name)
	if d == nil {
		return conflict("set role", name, "there is no such dataset")
	}
	d.seen.Role, d.seen.Slot = role, slot
	return nil
}

// Tune implements drivers.Storage.
func (s *Storage) Tune(ctx context.Context, id string, name string, v plans.Volume) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartStorage, "tune", name); err != nil {
		return err
	}
	d := h.living(name)
	switch {
	case d == nil || d.of != nil:
		return conflict("tune", name, "there is no such dataset")
	case v.Tuning() != "" && !h.storage.Tuned:
		return refused("tune", name, h.storage.Name+" cannot honour "+v.Tuning(), "remove these fields")
	}
	d.seen.Tuning = v.Tuning()
	return nil
}

// Promote implements drivers.Storage. As ZFS does it, the snapshot it came from
// and those before it become its own and bear its name, and what they were taken
// of is a clone of the last of them; a clone of a clone is promoted until it stands
// alone. A storage that copies changes no names.
func (s *Storage) Promote(ctx context.Context, id string, name string) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartStorage, "promote", name); err != nil {
		return err
	}
	d := h.living(name)
	if d == nil {
		return conflict("promote", name, "there is no such dataset")
	}
	for d.of == nil {
		from := h.data[d.seen.Origin]
		if from == nil {
			break
		}
		was := from.of
		if err := h.inherit(d, from); err != nil {
			return err
		}
		d.seen.Origin = ""
		if h.storage.Promote {
			d.seen.Origin, was.seen.Origin = was.seen.Origin, from.seen.ID
		}
	}
	return nil
}

// inherit gives to the snapshot from, and all of the same data that are older.
func (h *Host) inherit(to, from *dataset) error {
	var moved []*dataset
	for _, o := range h.tenants[to.seen.Tenant].datasets {
		if o.of != from.of || o.seen.Created.After(from.seen.Created) {
			continue
		}
		if as := h.nameOf(o, to); as != o.seen.ID && h.data[as] != nil {
			return refused("promote", to.seen.ID, as+" is in the way of "+o.seen.ID, "rename one of them")
		}
		moved = append(moved, o)
	}
	for _, o := range moved {
		h.rename(o, h.nameOf(o, to))
		o.of, o.seen.Origin = to, to.seen.ID
	}
	return nil
}

// nameOf is what a snapshot is called once it is that of another dataset.
func (h *Host) nameOf(snapshot, to *dataset) string {
	mark, named := strings.CutPrefix(snapshot.seen.ID, snapshot.seen.Origin+"@")
	if !h.storage.Promote || !named {
		return snapshot.seen.ID
	}
	return to.seen.ID + "@" + mark
}

// rename gives a snapshot another name; its clones follow.
func (h *Host) rename(d *dataset, name string) {
	was, t := d.seen.ID, h.tenants[d.seen.Tenant]
	n, _ := t.findData(was)
	t.datasets = slices.Delete(t.datasets, n, n+1)
	delete(h.data, was)
	d.seen.ID = name
	h.insert(d)
	for _, o := range t.datasets {
		if o.seen.Origin == was {
			o.seen.Origin = name
		}
	}
}

// Destroy implements drivers.Storage.
func (s *Storage) Destroy(ctx context.Context, id string, name string) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartStorage, "destroy", name); err != nil {
		return err
	}
	d := h.data[name]
	if d == nil {
		return nil
	}
	if by := h.busy(d); by != "" {
		return refused("destroy", name, "it is in use by "+by, "stop that first")
	}
	if clones := h.clones(name, d.seen.Tenant); len(clones) > 0 {
		return refused("destroy", name, "it is the origin of "+strings.Join(clones, ", "), "promote or destroy that first")
	}
	if len(d.seen.Holds) > 0 {
		return refused("destroy", name, "it is held by "+strings.Join(d.seen.Holds, ", "), "release it first")
	}
	if h.remains > 0 {
		h.remains--
		d.seen.Doomed, d.seen.Ready, d.seen.Role, d.seen.Origin = true, false, observed.Discarded, ""
		d.of, d.content = nil, nil
		return &observed.Problem{Op: "destroy", Ref: name, Class: observed.Transient, Text: "it was interrupted"}
	}
	h.removeData(name)
	h.drop(d.seen.Tenant)
	return nil
}

func (h *Host) removeData(name string) {
	d := h.data[name]
	if d == nil {
		return
	}
	t := h.tenants[d.seen.Tenant]
	n, _ := t.findData(name)
	t.datasets = slices.Delete(t.datasets, n, n+1)
	delete(h.data, name)
}

// Written implements drivers.Storage. A write is one byte.
func (s *Storage) Written(ctx context.Context, name, snapshot string) (int64, error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartStorage, "measure", name); err != nil {
		return 0, err
	}
	d := h.living(name)
	if d == nil {
		return 0, conflict("measure", name, "there is no such dataset")
	}
	if snapshot == "" {
		return int64(len(d.content)), nil
	}
	from := h.living(snapshot)
	if from == nil || from.of == nil {
		return 0, conflict("measure", snapshot, "there is no such snapshot")
	}
	n := 0
	for _, write := range d.content {
		if !slices.Contains(from.content, write) {
			n++
		}
	}
	return int64(n), nil
}

// Free implements drivers.Storage.
func (s *Storage) Free(ctx context.Context, v plans.Volume) (int64, error) {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(ctx, PartStorage, "measure", v.Source); err != nil {
		return 0, err
	}
	return h.free, nil
}
