package reconcile

import (
	"maps"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Cramped is what the last attempt lacked to copy data while requests waited. They
// are not made to wait for the same again, before something has changed.
type Cramped struct {
	At    time.Time `json:"at"`
	Tries int       `json:"tries"` // in a row
	// Free is what was free of each storage, and was not enough.
	Free map[string]int64 `json:"free,omitempty"`
	// Late says that stopping and copying took longer than requests may wait:
	// Limit, of which the plan said Said.
	Late  bool           `json:"late,omitempty"`
	Limit plans.Duration `json:"limit,omitempty"`
	Said  plans.Duration `json:"said,omitempty"`
}

// The rule that more must be free than was not enough lapses after an hour, each
// time after twice as long: another may have taken the room meanwhile and given
// it back.
const (
	crampedPause = time.Hour
	crampedLimit = 24 * time.Hour
)

// cramp notes why the data could not change hands: the trouble met, nil for none,
// or the time.
func (m *machine) cramp(t *Trouble, late bool) {
	full := t != nil && t.ofCopy() && t.Problem.Full
	if !full && !late {
		return
	}
	c := &Cramped{At: m.now, Tries: 1}
	if was := m.rec.Cramped; was != nil {
		c.Tries += was.Tries
	}
	switch a := m.rec.Attempt; {
	case full:
		if line := m.check("space", a.New.Generation); line != nil {
			c.Free = line.Free
		}
	default:
		c.Late, c.Limit, c.Said = true, a.Hold.Limit, m.saidHoldLimit()
	}
	m.rec.Cramped = c.clone()
}

// scarce is what must be exceeded of each storage before requests wait again; nil
// for nothing.
func (m *machine) scarce() map[string]int64 {
	c := m.rec.Cramped
	if c == nil || !m.now.Before(c.At.Add(min(crampedPause<<min(c.Tries-1, 10), crampedLimit))) {
		return nil
	}
	return c.Free
}

// tooLate says that an attempt would make requests wait in vain, as the last one
// did: nothing was said since that makes its copies fit into the hold.
func (m *machine) tooLate(a *Attempt) bool {
	c := m.rec.Cramped
	if c == nil || !c.Late || a.Kind != KindCore || a.Reused {
		return false
	}
	if m.saidHoldLimit() != c.Said || !m.copiesData() && m.want.Strategy != plans.Recreate {
		m.rec.Cramped = nil
		return false
	}
	text := "the data of " + m.in.Name + " did not change hands within the " + c.Limit.String() +
		" that requests may wait, less what undoing it needs; what served before serves"
	if m.ask("slow", text, map[string]string{"retry": "try once more; requests wait as long again"}, c.At.UTC().Format(time.RFC3339Nano)) == "retry" {
		m.rec.Cramped = nil
		return false
	}
	m.say(HeldBack, Blocked, text, "raise holdLimit of its volumes, use a storage with cheap clones, or answer retry")
	if o := m.rec.Outage; o != nil {
		m.report.Problem = cloneProblem(&o.Problem)
	}
	return true
}

// clone returns a deep copy.
func (c *Cramped) clone() *Cramped {
	if c == nil {
		return nil
	}
	d := *c
	d.Free = maps.Clone(c.Free)
	return &d
}
