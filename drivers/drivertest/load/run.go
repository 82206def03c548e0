package load

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Config says where requests go. The zero values of the rest are useful.
type Config struct {
	Proxy string // host:port clients connect to
	Host  string // host name they ask for
	// Workers is how many clients of each kind run side by side; nil is Default.
	Workers map[Kind]int
	// Think is the pause after each answer; 0 is 2 ms, negative is none.
	Think time.Duration
	// Long is how long a streamed answer takes; 0 is one second.
	Long time.Duration
	// Patience is how long any answer may take beyond its own length; 0 is 30 s.
	Patience time.Duration
	// Path is what Get and Fresh ask for; "" is /.
	Path string
	// Expect, if not nil, looks at each whole answer to Get, Post and Fresh.
	Expect func(k Kind, res *http.Response, body []byte) error
}

// Run is load under way.
type Run struct {
	cancel   context.CancelFunc
	stopping chan struct{}
	workers  sync.WaitGroup
	began    time.Time

	mu     sync.Mutex
	kinds  map[Kind]Count
	posted []string
}

// Start begins to send. The run ends with Stop, or at once with ctx.
func Start(ctx context.Context, c Config) *Run {
	if c.Workers == nil {
		c.Workers = Default
	}
	switch {
	case c.Think == 0:
		c.Think = 2 * time.Millisecond
	case c.Think < 0:
		c.Think = 0
	}
	if c.Long == 0 {
		c.Long = time.Second
	}
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	if c.Path == "" {
		c.Path = "/"
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Run{cancel: cancel, stopping: make(chan struct{}), began: time.Now(), kinds: make(map[Kind]Count)}
	for _, kind := range Kinds {
		for n := range c.Workers[kind] {
			w := &worker{Config: c, kind: kind, name: fmt.Sprintf("%s-%d-%d", kind, n, time.Now().UnixNano()), run: r}
			r.workers.Go(func() { w.work(ctx) })
		}
	}
	return r
}

// Result returns the counts up to now.
func (r *Run) Result() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Result{Kinds: maps.Clone(r.kinds), Posted: append([]string(nil), r.posted...), Took: time.Since(r.began)}
}

// Stop sends nothing further, waits for the answers under way and returns the
// counts.
func (r *Run) Stop() Result {
	close(r.stopping)
	r.workers.Wait()
	r.cancel()
	return r.Result()
}

func (r *Run) note(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.kinds[o.kind]
	c.add(o)
	r.kinds[o.kind] = c
	if o.kind == Post && o.err == nil {
		r.posted = append(r.posted, o.id)
	}
}
