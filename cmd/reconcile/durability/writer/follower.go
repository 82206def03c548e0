package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// follower fills the ledger from a peer: what this copy of the data missed, the
// peer tells again.
type follower struct {
	ledger *ledger
	peer   string // URL
	met    atomic.Bool
}

// pace is the pause between two looks at the peer.
const pace = 50 * time.Millisecond

func (f *follower) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := f.fetch(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "writer: cannot catch up:", err)
		} else {
			f.met.Store(true)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
}

// caughtUp says that all the peer had at a first look is here.
func (f *follower) caughtUp() bool { return f.met.Load() }

// fetch takes what the peer has beyond the ledger.
func (f *follower) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/ledger?from=%d", f.peer, len(f.ledger.since(0))), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %v", res.Status, err)
	}
	numbers := strings.Fields(string(b))
	if len(numbers) == 0 {
		return nil
	}
	return f.ledger.add(numbers...)
}
