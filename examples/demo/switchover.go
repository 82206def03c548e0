package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
)

// switchover is a switch as the clients of one tenant see it.
type switchover struct {
	mu    sync.Mutex // guards what follows; workers note side by side
	from  string     // version of the first answer
	last  time.Time  // of the last answer from it
	to    string     // the other version, "" while there was none
	first time.Time  // of the first answer from it
}

// note looks at one answer.
func (s *switchover) note(k load.Kind, _ *http.Response, body []byte) error {
	if k == load.Post {
		return nil
	}
	now := time.Now()
	word, _, _ := strings.Cut(string(body), " ")
	version, ok := strings.CutPrefix(word, "version=")
	if !ok {
		return fmt.Errorf("an answer that is not the tenant's: %q", body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.from == "":
		s.from, s.last = version, now
	case version == s.from:
		s.last = now
	case s.to == "":
		s.to, s.first = version, now
	}
	return nil
}

func (s *switchover) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to == "" {
		return "every answer came from " + s.from
	}
	gap := s.first.Sub(s.last).Round(10 * time.Microsecond)
	if gap < 0 {
		return fmt.Sprintf("switched at %s: first answer from %s, and the last from %s came %s later", s.first.Format("15:04:05.000"), s.to, s.from, -gap)
	}
	return fmt.Sprintf("switched at %s: first answer from %s, %s after the last from %s", s.first.Format("15:04:05.000"), s.to, gap, s.from)
}
