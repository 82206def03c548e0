package agent

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// Clock tells the time and wakes the loop. The system's is the default; a test
// under testing/synctest uses it as well.
type Clock interface {
	Now() time.Time
	// NewTimer fires once after d, or at once if d is not positive.
	NewTimer(d time.Duration) Timer
}

// Timer is a running timer.
type Timer interface {
	C() <-chan time.Time
	Stop()
}

// System is the system's clock.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now() }

// NewTimer implements Clock.
func (System) NewTimer(d time.Duration) Timer { return timer{time.NewTimer(d)} }

type timer struct{ *time.Timer }

func (t timer) C() <-chan time.Time { return t.Timer.C }
func (t timer) Stop()               { t.Timer.Stop() }

// steady is a clock that never goes backwards, over a restart either. Safe for
// use by many goroutines.
type steady struct {
	clock Clock
	mu    sync.Mutex // guards last
	last  time.Time
}

func (s *steady) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.clock.Now().UTC(); t.After(s.last) {
		s.last = t
	}
	return s.last
}

// journalledClock is the now of the last turn that was written down; zero in a
// new journal.
func journalledClock(store journal.Store) (time.Time, error) {
	var at time.Time
	raw, err := store.Get(journal.Meta, metaClock)
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &at)
	}
	if err != nil {
		return at, fmt.Errorf("read clock: %w", err)
	}
	return at, nil
}
