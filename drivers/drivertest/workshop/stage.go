package workshop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// The runtimes stories are played on.
const (
	Process = "process"
	Docker  = "docker"
)

// Stage sets the stage for a story on a runtime; change, if not nil, may alter
// what it is made of before it is set. Whatever a story that failed left running
// is ended by force.
func (w *Workshop) Stage(t testing.TB, runtime string, change func(*stage.Config)) *stage.Stage {
	t.Helper()
	w.mu.Lock()
	w.stages++
	n := w.stages
	w.mu.Unlock()
	c := stage.Config{Dir: filepath.Join(w.dir, fmt.Sprint("w", n)), Bin: w.Bin(t), Serve: w.Serve(t), Runtime: runtime,
		Registry: w.Registry(t), Node: fmt.Sprintf("node-%d-%d", os.Getpid(), n)}
	if runtime == Docker {
		c.DockerHost = w.Engine(t).Host
	}
	if change != nil {
		change(&c)
	}
	if c.Ports == "" {
		c.Ports = w.Ports(1)
	}
	s, err := stage.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Wreck(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Ports are given out in blocks of a hundred, below those the kernel gives to
// clients; portStride keeps test binaries with neighbouring process ids apart.
const (
	firstPort  = 10000
	portBlock  = 100
	portBlocks = 200
	portStride = 23
)

// Ports is a range of host ports that no other stage of this binary has, as the
// host's configuration writes it; blocks are how many hundreds.
func (w *Workshop) Ports(blocks int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := (os.Getpid()*portStride + w.ports) % portBlocks
	if at+blocks > portBlocks {
		w.ports += portBlocks - at
		at = 0
	}
	w.ports += blocks
	from := firstPort + at*portBlock
	return fmt.Sprintf("%d-%d", from, from+blocks*portBlock-1)
}
