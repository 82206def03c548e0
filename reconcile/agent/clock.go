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

// steady is a clock that follows the date and never goes backwards, over a
// restart either. Where the date was set back it goes on as time passes, a tenth
// slower until the date has caught up. Safe for use by many goroutines.
type steady struct {
	clock   Clock
	elapsed func() time.Duration // since any moment, whoever sets the date

	mu   sync.Mutex // guards all below
	last time.Time
	at   time.Duration // elapsed at last
}

// newSteady returns one that is not before last.
func newSteady(c Clock, last time.Time) *steady {
	begin := time.Now() // with the monotonic reading that Since goes by
	return &steady{clock: c, elapsed: func() time.Duration { return time.Since(begin) }, last: last}
}

func (s *steady) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	date, at := s.clock.Now().UTC(), s.elapsed()
	passed := max(0, at-s.at)
	next := s.last.Add(passed)
	if ahead := next.Sub(date); ahead > 0 {
		next = next.Add(-min(passed/10, ahead))
	} else {
		next = date
	}
	s.last, s.at = next, at
	return next
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
