package docker

import (
	"maps"
	"sync"

	"github.com/moby/moby/api/types/container"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// cache remembers inspected containers, and which sockets they were proved to
// answer on, while the engine's events are heard: an event about a container, or
// an act of ours on it, forgets it.
type cache struct {
	mu      sync.Mutex // guards the following
	live    int        // event streams that are open
	drops   uint64     // what was inspected before a drop is not kept
	seen    map[string]cached
	digests map[string][]string // RepoDigests by image id; content, so never wrong
	// answers are sockets that were proved to be answered by a container, and
	// askedOf whose they are, by container.
	answers map[answer]string
	askedOf map[string][]answer
}

// answer is a port of an instance and the socket that listens on it.
type answer struct {
	key    plans.Key
	port   int
	socket string
}

type cached struct {
	state    container.ContainerState
	instance observed.Instance
}

func newCache() *cache {
	return &cache{seen: map[string]cached{}, digests: map[string][]string{}, answers: map[answer]string{}, askedOf: map[string][]answer{}}
}

// listen says that events are heard from now on; the returned func that no more.
func (c *cache) listen() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live++
	c.clearLocked()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.live--
		c.clearLocked()
	}
}

func (c *cache) clearLocked() {
	c.drops++
	clear(c.seen)
	clear(c.answers)
	clear(c.askedOf)
}

func (c *cache) get(id string, state container.ContainerState) (observed.Instance, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, ok := c.seen[id]
	if !ok || c.live == 0 || got.state != state {
		return observed.Instance{}, false
	}
	i := got.instance
	i.Ports = maps.Clone(i.Ports)
	return i, true
}

// mark is taken before an inspection and given to put after it.
func (c *cache) mark() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drops
}

func (c *cache) put(mark uint64, id string, state container.ContainerState, i observed.Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == 0 || c.drops != mark {
		return
	}
	i.Ports = maps.Clone(i.Ports)
	c.seen[id] = cached{state, i}
}

func (c *cache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	delete(c.seen, id)
	for _, a := range c.askedOf[id] {
		delete(c.answers, a)
	}
	delete(c.askedOf, id)
}

// proved says that the socket is known to be answered by the instance.
func (c *cache) proved(key plans.Key, port int, socket string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.answers[answer{key, port, socket}]
	return ok && socket != "" && c.live > 0
}

// prove notes that the container of an instance answers on the socket, if
// nothing was heard of it since mark.
func (c *cache) prove(mark uint64, key plans.Key, port int, socket, id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == 0 || c.drops != mark || socket == "" {
		return
	}
	a := answer{key, port, socket}
	c.answers[a], c.askedOf[id] = id, append(c.askedOf[id], a)
}

func (c *cache) imageDigests(id string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.digests[id]
}

func (c *cache) setImageDigests(id string, digests []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digests[id] = digests
}
