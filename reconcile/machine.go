package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// machine is one step under way: its input, the memory it will return and the
// decision it gathers.
type machine struct {
	in     Input
	now    time.Time
	env    Env
	seen   *observed.Tenant // the facts, never nil; without what is in doomed
	doomed []observed.Dataset
	rec    Record        // ours alone
	want   *plans.Tenant // nil: not in the plan, or to be removed
	target plans.Target  // of want
	done   map[string]Result
	passed time.Duration // since the last step
	known  known

	actions []Action
	older   []Action // figures to be measured again, if a person is asked with them
	events  []Event
	heard   []string
	wake    time.Time
	report  Report
	drift   []Drift
	recast  bool   // roles of slots changed: care for them once more
	pending string // a hold that waits for a safe state
	limit   string // what ends the row under way, for people
}

// begin clones the memory and takes in the clock, the results and the facts.
func begin(in Input, rec Record) *machine {
	m := &machine{in: in, now: in.Now, rec: rec.clone(), seen: in.Facts, env: Env{}}
	if m.seen == nil {
		m.seen = &observed.Tenant{}
	}
	m.setDoomedApart()
	if in.Env != nil {
		m.env = *in.Env
	}
	m.env.fill()
	if in.Want != nil && !in.Want.Removed {
		m.want, m.target = in.Want, in.Want.Target()
	}
	if in.Want != nil {
		m.rec.Retention = in.Want.Retention.Effective()
	}
	if m.now.Before(rec.Clock) {
		m.now = rec.Clock
	}
	if !rec.Clock.IsZero() {
		m.passed = m.now.Sub(rec.Clock)
	}
	m.rec.Clock = m.now
	m.rec.Entry.Hold = nil
	m.sortTrouble()
	m.heed()
	m.unstick()
	m.forgetMeasured()
	m.tick(m.passed)
	return m
}

// tick moves the clocks. What cannot be seen stops them and resets none.
func (m *machine) tick(passed time.Duration) {
	blind := m.blind() != nil
	switch {
	case !blind && m.outage() == nil:
		m.rec.Unknown = time.Time{}
	case m.rec.Unknown.IsZero():
		m.rec.Unknown = m.now
	}
	a := m.rec.Attempt
	if a == nil || blind || m.outage() != nil || !m.rec.Holding.IsZero() {
		m.passed = 0 // nor does it count for what an attempt watches
		return
	}
	a.Spent += passed
}

// unspend takes the time since the last step off the phase's clock: it passed
// unseen.
func (m *machine) unspend() {
	a := m.rec.Attempt
	a.Spent = max(0, a.Spent-m.passed)
	m.passed = 0
}

// finish closes the step: the pause of a problem is kept, the report is
// completed and the memory of what was said is brought up to date.
func (m *machine) finish() (Decision, Record) {
	m.overcome()
	m.again()
	m.tell()
	m.measureOlder()
	if len(m.actions) > 0 {
		m.wake = m.now
	}
	return Decision{Actions: m.actions, Wake: m.wake, Report: m.report, Events: m.events, Heard: m.heard}, m.rec
}

// prefix begins the id of every action of the attempt under way, or of the
// tenant's care outside of attempts.
func (m *machine) prefix() string {
	if a := m.rec.Attempt; a != nil {
		return m.in.Name + "/" + a.ID + "/"
	}
	return m.in.Name + "/-/"
}

// act orders an action, unless the pause of a problem holds it up. It names it by tenant,
// attempt, step, verb and subject, and says whether it was ordered.
func (m *machine) act(step Phase, subject string, a Action) bool {
	if m.holdsUp(step) {
		m.wakeAt(m.troubleIn(step).Next)
		return false
	}
	a.ID = m.prefix() + string(step) + "/" + string(a.Verb)
	if subject != "" {
		a.ID += "/" + subject
	}
	a.Tenant, a.Step = m.in.Name, step
	if a.Limit == 0 {
		a.Limit = m.limitOf(&a)
	}
	if h := m.window(); h != nil {
		// It ends in time for the undoing, whatever it is at.
		a.Limit = min(a.Limit, max(h.undoAt().Sub(m.now), time.Second))
	}
	if a.Volume != nil {
		a.Volume.Commit = m.env.Commit
		if t := m.rec.Attempt; t != nil && t.New.Commit != "" {
			a.Volume.Commit = t.New.Commit
		}
	}
	for _, b := range m.actions {
		if b.ID == a.ID {
			return true
		}
	}
	m.actions = append(m.actions, a)
	return true
}

// limitOf is the limit of an action that brings none. A snapshot that copies all
// data may take as long as any copy.
func (m *machine) limitOf(a *Action) time.Duration {
	if a.Verb == Snapshot && !m.env.CheapClone(a.Volume.Volume.Driver) {
		return limits[Clone]
	}
	return limits[a.Verb]
}

// limits bound the driver calls. A pull or a copy may move gigabytes; the rest
// are calls an engine answers in seconds or is stuck.
var limits = map[Verb]time.Duration{
	Check: time.Minute, Pull: 30 * time.Minute, Create: 5 * time.Minute, Snapshot: time.Minute,
	Clone: 30 * time.Minute, Retain: time.Minute, Release: time.Minute, Measure: 5 * time.Minute, Promote: 5 * time.Minute, SetRole: time.Minute, Tune: time.Minute, Destroy: 5 * time.Minute,
	Start: 2 * time.Minute, Stop: time.Minute, Remove: 2 * time.Minute, SetRouted: time.Minute,
	Route: 10 * time.Second, Unroute: 10 * time.Second, Confirm: 10 * time.Second, Cut: 10 * time.Second,
	Forget: time.Minute,
}

// wakeAt asks for a step no later than t.
func (m *machine) wakeAt(t time.Time) {
	if m.wake.IsZero() || t.Before(m.wake) {
		m.wake = t
	}
}

// poll asks for a look after d: for what no event announces.
func (m *machine) poll(d time.Duration) { m.wakeAt(m.now.Add(d)) }

// How often what no event announces is looked at.
const (
	pollHeld   = 100 * time.Millisecond // requests are waiting
	pollDrain  = 500 * time.Millisecond
	pollHealth = time.Second
	pollBlind  = 5 * time.Second
)

func (m *machine) event(kind, text string, pairs ...string) {
	e := Event{Time: m.now, Kind: kind, Tenant: m.in.Name, Text: text}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if e.Fields == nil {
			e.Fields = map[string]string{}
		}
		e.Fields[pairs[i]] = pairs[i+1]
	}
	m.events = append(m.events, e)
}

// fill gives every lookup that is missing its empty answer.
func (e *Env) fill() {
	if e.Port == nil {
		e.Port = func(plans.Key, string) int { return 0 }
	}
	if e.Core == nil {
		e.Core = func(string) (plans.Core, bool) { return plans.Core{}, false }
	}
	if e.Service == nil {
		e.Service = func(string) (plans.Service, bool) { return plans.Service{}, false }
	}
	if e.PointInTime == nil {
		e.PointInTime = func(string) bool { return false }
	}
	if e.CheapClone == nil {
		e.CheapClone = func(string) bool { return false }
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + many
}

// short cuts a digest for people: "g1:4f2a9c01".
func short(d string) string {
	head, tail, ok := strings.Cut(d, ":")
	if !ok || len(tail) <= 8 {
		return d
	}
	return head + ":" + tail[:8]
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
