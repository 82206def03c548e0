package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
)

// hands are the drivers, and which of them serves whom.
type hands struct {
	runtimes       map[string]drivers.Runtime
	defaultRuntime string
	storages       map[string]drivers.Storage
	defaultStorage string
	router         drivers.Router
	places         *places
}

// places remembers, for hosts with several runtimes or storages, where things
// are. What is in no map is with the default.
type places struct {
	mu       sync.RWMutex         // guards the maps
	wanted   map[string]string    // tenant → runtime of its plan
	instance map[plans.Key]string // where it was last seen
	dataset  map[string]string    // by id: storage it was last seen in
}

func newPlaces() *places {
	return &places{wanted: map[string]string{}, instance: map[plans.Key]string{}, dataset: map[string]string{}}
}

func newHands(c Config) (hands, error) {
	h := hands{
		runtimes: c.Runtimes, defaultRuntime: c.DefaultRuntime,
		storages: c.Storages, defaultStorage: c.DefaultStorage,
		router: c.Router,
		places: newPlaces(),
	}
	var err error
	if h.defaultRuntime, err = pick("runtime", h.defaultRuntime, h.runtimes); err != nil {
		return h, err
	}
	if len(h.storages) > 0 {
		h.defaultStorage, err = pick("storage", h.defaultStorage, h.storages)
	}
	return h, err
}

// pick returns name, or the only one where name is empty.
func pick[D any](kind, name string, have map[string]D) (string, error) {
	names := slices.Sorted(maps.Keys(have))
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", fmt.Errorf("no default %s named (have %s)", kind, strings.Join(names, ", "))
	}
	_, err := lookup(kind, name, have)
	return name, err
}

func lookup[D any](kind, name string, have map[string]D) (D, error) {
	d, ok := have[name]
	if !ok {
		return d, fmt.Errorf("unknown %s %q (have %s)", kind, name, strings.Join(slices.Sorted(maps.Keys(have)), ", "))
	}
	return d, nil
}

// runtimeName is the runtime a tenant's plan asks for.
func (h *hands) runtimeName(tenant string) string {
	h.places.mu.RLock()
	defer h.places.mu.RUnlock()
	if name := h.places.wanted[tenant]; name != "" {
		return name
	}
	return h.defaultRuntime
}

// runtime is where new instances of a tenant are made.
func (h *hands) runtime(tenant string) (drivers.Runtime, error) {
	return lookup("runtime", h.runtimeName(tenant), h.runtimes)
}

// runtimeOf is where an instance is, else where it would be made.
func (h *hands) runtimeOf(key plans.Key) (drivers.Runtime, error) {
	h.places.mu.RLock()
	name, ok := h.places.instance[key]
	h.places.mu.RUnlock()
	if !ok {
		return h.runtime(key.Tenant)
	}
	return lookup("runtime", name, h.runtimes)
}

// storage is where a volume, or else the first of the datasets, is kept.
func (h *hands) storage(v plans.Volume, datasets ...string) (drivers.Storage, error) {
	name := v.Driver
	if name == "" {
		h.places.mu.RLock()
		for _, id := range datasets {
			if name = h.places.dataset[id]; name != "" {
				break
			}
		}
		h.places.mu.RUnlock()
	}
	if name == "" {
		name = h.defaultStorage
	}
	return lookup("storage", name, h.storages)
}
