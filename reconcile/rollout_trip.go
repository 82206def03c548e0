package reconcile

import (
	"encoding/json"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// Failure is one tenant that failed in a rollout, as its members and the event
// rollout.circuit_breaker_tripped tell it.
type Failure struct {
	Tenant string `json:"tenant"`
	// Why says what failed it, with the last answer of its probe where one was
	// had; Log is the end of its last output.
	Why string `json:"why"`
	Log string `json:"log,omitempty"`
	// Restored says that it serves what it served before, Moves that it is still
	// on its way there.
	Restored bool `json:"restored"`
	Moves    bool `json:"moves,omitempty"`
	// RanNothing says that it ran nothing before: restored, it serves nothing.
	RanNothing bool `json:"ranNothing,omitempty"`
}

// What is kept and told of failures, so that ten thousand of them stay small:
// the output that a member remembers, and what the event of a trip says of each
// of the first so many.
const (
	memberWhyBytes                 = 1 << 10
	memberLogLines, memberLogBytes = 20, 2 << 10
	tripFailures                   = 20
	tripLogLines, tripLogBytes     = 10, 1 << 10
	tripWhyBytes                   = 512
)

// Failure is a failed member as it is told.
func (m *RolloutMember) Failure() Failure {
	return Failure{Tenant: m.Tenant, Why: m.Why, Log: m.Log, Restored: m.Restored, Moves: m.Moves, RanNothing: m.RanNothing()}
}

// Failed returns the members of a rollout that failed and were not accepted as
// they are, in its order: what its breaker counts.
func (r *Rollouts) Failed(id string) []Failure {
	_, a := r.find(id)
	if a == nil || a.failed == 0 {
		return nil
	}
	var out []Failure
	for _, m := range a.members {
		if m.Class == ClassFailed && !m.Accepted {
			out = append(out, m.Failure())
		}
	}
	return out
}

// tellTrip tells that the breaker tripped: who failed, by what answer and with
// which last words, and what a person may say to it.
func (d *decision) tellTrip(why string, floor bool) {
	a := d.run
	var failed, log string
	var places []int
	var told []Failure
	for _, m := range a.members {
		if m.Class != ClassFailed || m.Accepted {
			continue
		}
		if len(places) > 0 {
			failed += ","
		}
		failed += m.Tenant
		if places = append(places, m.Place); log == "" {
			log = m.Log
		}
		if len(told) < tripFailures {
			f := m.Failure()
			f.Why, f.Log = beginOf(f.Why, tripWhyBytes), tailOf(f.Log, tripLogLines, tripLogBytes)
			told = append(told, f)
		}
	}
	who, more := "", ""
	if len(places) > 0 {
		who = "; failed: " + d.names(places)
	}
	if n := len(places) - len(told); n > 0 {
		more = itoa(n)
	}
	answers := tripAnswers
	if a.Rules.OnTrip == plans.Rollback && !floor {
		answers = "" // nobody is asked: what was moved goes back
	}
	d.event(RolloutBreakerTripped, "", a.ID+": the breaker tripped: "+why+who+
		"; nothing new is started, what is in motion is finished or undone",
		"batch", batchField(a.Batch), "failed", failed, "why", why, "trip", itoa(a.Trips), "log", log,
		"failures", encodeFailures(told), "more", more, "answers", answers)
}

// tripAnswers are the answers to the question that follows a trip.
var tripAnswers = strings.Join([]string{AbortRollout, ContinueAnyway, RetryFailed, RollbackMoved}, ",")

// encodeFailures is a list of failures as text, "" for none.
func encodeFailures(list []Failure) string {
	if len(list) == 0 {
		return ""
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "" // there is nothing in it that could not be written
	}
	return string(text)
}

// tailOf is the end of an output: at most so many lines and bytes, whole lines
// where they fit.
func tailOf(log string, lines, bytes int) string {
	log = strings.TrimRight(log, "\n")
	from := len(log)
	for n := 0; n < lines && from > 0; n++ {
		at := strings.LastIndexByte(log[:from], '\n')
		if len(log)-at-1 > bytes {
			if n > 0 {
				break
			}
			return strings.ToValidUTF8(log[len(log)-bytes:], "")
		}
		from = max(at, 0)
	}
	return strings.TrimLeft(log[from:], "\n")
}

// beginOf is the beginning of a text: at most so many bytes.
func beginOf(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return strings.ToValidUTF8(text[:bytes], "") + "…"
}
