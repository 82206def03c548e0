package mem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Config is the shape of a host. The zero value of each field has a meaning.
type Config struct {
	// Now is the host's clock. It must not go backwards. Required.
	Now func() time.Time
	// Traits of the runtime; the zero Traits are AllTraits.
	Traits drivers.Traits
	// Storage are the traits of the storage; the zero ones can do everything.
	Storage drivers.StorageTraits
	// Registry says what an image is. Nil: every image exists, is healthy from
	// its start on, and runs until it is stopped.
	Registry func(image string) Image
	// Free is the space for new data in bytes; 0 is 1 TiB.
	Free int64
}

// AllTraits are those of a runtime that honours everything.
var AllTraits = drivers.Traits{
	Name: "mem", OwnNetwork: true, Publish: true, Resources: true, Caps: true,
	User: true, ImageProbe: true, Exec: true, Restarts: true,
}

// Host is one host in memory. Its drivers are views on it, so that a new
// Runtime on the same Host is a new process of ours on the same machine. It is
// safe for use by several goroutines.
type Host struct {
	now      func() time.Time
	traits   drivers.Traits
	storage  drivers.StorageTraits
	registry func(image string) Image

	mu       sync.Mutex // guards everything below
	tenants  map[string]*tenant
	hosts    map[string][]string // host name → tenants with a route for it
	ports    map[int]*instance   // loopback port → running instance
	taken    map[int]string      // loopback port → foreign process
	images   map[string]bool     // pulled
	set      map[string]Image    // what SetImage said, by digest
	files    map[string]string   // host files by path
	data     map[string]*dataset
	inTheWay map[string]bool // tenants/volume that foreign data stands in the way of
	down     map[Part]bool
	revision uint64 // of the route table
	owner    string // controller id beside the route table
	serial   int    // of engine ids
	free     int64
	halves   int // datasets still to be left half made
	remains  int // and half destroyed
	counts   map[Part]int
	watchers []*watcher
}

// tenant is what the host has of one tenant; all parts are small and sorted.
type tenant struct {
	instances []*instance // by Key
	foreign   map[plans.Key]string
	route     *route
	datasets  []*dataset // by ID
}

// Part of a host that can be down, and whose write calls are counted.
type Part string

// The parts.
const (
	PartRuntime  Part = "runtime"
	PartRegistry Part = "registry"
	PartRouter   Part = "router"
	PartStorage  Part = "storage"
	PartProber   Part = "prober"
)

// New returns an empty host.
func New(c Config) *Host {
	if c.Traits == (drivers.Traits{}) {
		c.Traits = AllTraits
	}
	if c.Storage == (drivers.StorageTraits{}) {
		c.Storage = drivers.StorageTraits{Name: "mem", PointInTime: true, CheapClone: true, Promote: true, Tuned: true}
	}
	if c.Registry == nil {
		c.Registry = func(string) Image { return Image{} }
	}
	if c.Free == 0 {
		c.Free = 1 << 40
	}
	return &Host{
		now: c.Now, traits: c.Traits, storage: c.Storage, registry: c.Registry, free: c.Free,
		tenants:  map[string]*tenant{},
		hosts:    map[string][]string{},
		ports:    map[int]*instance{},
		taken:    map[int]string{},
		images:   map[string]bool{},
		set:      map[string]Image{},
		files:    map[string]string{},
		data:     map[string]*dataset{},
		inTheWay: map[string]bool{},
		down:     map[Part]bool{},
		counts:   map[Part]int{},
	}
}

// Writes returns how many write calls each part was given since the host was
// made, whether or not they changed anything. Claim, Prune and Pull count too.
func (h *Host) Writes() map[Part]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[Part]int{PartRuntime: 0, PartRouter: 0, PartStorage: 0}
	for p, n := range h.counts {
		out[p] = n
	}
	return out
}

// tenant returns what the host has of the named tenant, made on first use.
func (h *Host) tenant(name string) *tenant {
	t := h.tenants[name]
	if t == nil {
		t = &tenant{}
		h.tenants[name] = t
	}
	return t
}

// drop forgets a tenant of which nothing is left.
func (h *Host) drop(name string) {
	t := h.tenants[name]
	if t != nil && len(t.instances) == 0 && len(t.foreign) == 0 && t.route == nil && len(t.datasets) == 0 {
		delete(h.tenants, name)
	}
}

// named returns the given tenants, or all that the host knows, sorted.
func (h *Host) named(tenants []string) []string {
	if len(tenants) == 0 {
		for name := range h.tenants {
			tenants = append(tenants, name)
		}
		slices.Sort(tenants)
		return tenants
	}
	out := slices.Clone(tenants)
	slices.Sort(out)
	return slices.Compact(out)
}

// id returns a new engine id; equal histories give equal ids.
func (h *Host) id() string {
	h.serial++
	return fmt.Sprintf("m%08x", h.serial)
}

// read begins a call that looks at part; write one that may change it.
func (h *Host) read(ctx context.Context, p Part, op, ref string) error {
	if err := context.Cause(ctx); err != nil {
		return observed.Wrap(op, ref, observed.Transient, err, "")
	}
	if h.down[p] {
		return &observed.Problem{Op: op, Ref: ref, Class: observed.Environment,
			Text: "the " + string(p) + " does not answer", Hint: "see whether it runs on this host"}
	}
	return nil
}

func (h *Host) write(ctx context.Context, p Part, op, ref string) error {
	h.counts[p]++
	return h.read(ctx, p, op, ref)
}

func refused(op, ref, text, hint string) error {
	return &observed.Problem{Op: op, Ref: ref, Class: observed.Refused, Text: text, Hint: hint}
}

func conflict(op, ref, text string) error {
	return &observed.Problem{Op: op, Ref: ref, Class: observed.Conflict, Text: text}
}

// digestOf is the part of an image reference that counts.
func digestOf(image string) string {
	if _, digest, ok := strings.Cut(image, "@"); ok {
		return digest
	}
	return image
}
