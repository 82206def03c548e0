package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// Rollouts owns the memory of the rollouts of a node. It is fed with the plan,
// reports and answers, and decides what each tenant may do:
//
//	Restore(...)     what the journal holds, once; Attempted(...), too
//	Plan(...)        what is wanted
//	Hear(report)     what a tenant's machine says of itself
//	Decide(now, …)   permits and events, and what changed of the memory
//
// What Decide returns is written down before a tenant steps on a permit of it.
// Its cost is in what changed, not in the number of tenants; a commit, a trip
// and a closed rollout concern all tenants of the change.
type Rollouts struct {
	node   string
	known  bool // there is a plan
	commit string
	lanes  map[string]*lane
	seats  map[string]*seat
	dirty  map[string]bool      // lanes to decide about
	going  map[string]bool      // lanes with a rollout that is not closed
	wakes  map[string]time.Time // lanes that have something due
	// ordinals count the attempts at each change, number all rollouts.
	ordinals map[string]int
	number   int
	delta    RolloutDelta
}

// RolloutTenant is one tenant as the plan has it.
type RolloutTenant struct {
	Want   *plans.Tenant
	Target plans.Target // of Want
}

// RolloutPlan is what is wanted: the tenants that have a policy, in plan order.
type RolloutPlan struct {
	Commit   string
	Policies map[string]plans.BatchPolicy
	Tenants  []RolloutTenant
}

// RolloutDelta is what a decision changed. It holds copies.
type RolloutDelta struct {
	Permits  []TenantPermit // by name
	Rollouts []Rollout
	Members  []ChangedMember
	Dropped  []DroppedRollout
	// Attempts is how often a change was begun, of those that were begun: to be
	// remembered for good, for the log knows their ids longer than we the rollouts.
	Attempts map[string]int
	Events   []Event
	// Taken are the questions whose answer was carried out.
	Taken []string
	// Wake is when to decide again though nothing was heard; zero: on news.
	Wake time.Time
}

// TenantPermit is a permit that is another than before.
type TenantPermit struct {
	Tenant string
	Permit Permit
}

// ChangedMember is a member whose memory changed.
type ChangedMember struct {
	Rollout string
	RolloutMember
}

// DroppedRollout is one that is forgotten, with its members.
type DroppedRollout struct {
	ID      string
	Tenants []string
}

// keepClosed is how many closed rollouts of each lane are remembered.
const keepClosed = 3

// NewRollouts returns the memory of a node without any rollout.
func NewRollouts(node string) *Rollouts {
	return &Rollouts{node: node, lanes: map[string]*lane{}, seats: map[string]*seat{}, dirty: map[string]bool{},
		going: map[string]bool{}, wakes: map[string]time.Time{}, ordinals: map[string]int{}}
}

// lane is the tenants of one template that follow one policy. They change
// together, by one rollout after the other.
type lane struct {
	all      *Rollouts
	key      string
	policy   string
	template string
	release  string            // the plan's
	rules    plans.BatchPolicy // the plan's
	order    []*seat
	silent   int // have not spoken about their target yet
	mute     int // of those, that have not spoken at all: since we started, or since they came
	able     int // could move to their target, if they were let
	serving  int // run something
	ailing   int // of those, that are known to be at rest and not well
	dark     int // of those, that are neither known to be well nor not to be
	risked   int // of the others, that were told to move or are in motion
	run      *active
	closed   []*active                 // oldest first
	owed     map[string]*RolloutMember // of closed ones, not withheld yet
	news     map[string]bool           // tenants that were heard
	stale    map[string]bool           // tenants whose permit may have changed
	whole    bool                      // all of them
}

// seat is one tenant as its lane sees it.
type seat struct {
	lane   *lane
	want   *plans.Tenant
	target plans.Target
	report *Report // the last one heard; never nil, never changed
	permit Permit
	silent bool // counted in lane.silent
	mute   bool // counted in lane.mute
	able   bool // counted in lane.able
	serves bool // counted in lane.serving
	ails   bool // counted in lane.ailing
	dark   bool // counted in lane.dark
	risked bool // counted in lane.risked
	told   bool // the rollout under way told it to move, and it has not come to rest
}

// spoke says that the last report is about the plan's target.
func (s *seat) spoke() bool { return s.report.State != "" && s.report.Target == s.target }

// mayMove says that the tenant could begin to move, if it were let.
func (s *seat) mayMove() bool {
	r := s.report
	return s.spoke() && !r.Done && !r.Failed && r.State != Held && r.State != HeldBack && r.Op != Backward
}

// weigh brings the counts of the lane up to date.
func (s *seat) weigh() {
	count := func(n *int, was *bool, is bool) {
		if *was != is {
			*was = is
			if is {
				*n++
			} else {
				*n--
			}
		}
	}
	count(&s.lane.silent, &s.silent, !s.spoke())
	count(&s.lane.mute, &s.mute, s.report.State == "")
	count(&s.lane.able, &s.able, s.mayMove())
	count(&s.lane.serving, &s.serves, s.report.Generation != "")
	count(&s.lane.ailing, &s.ails, s.serves && s.report.Unwell != "")
	count(&s.lane.dark, &s.dark, s.serves && !s.ails && s.unseen())
	count(&s.lane.risked, &s.risked, s.serves && !s.ails && !s.dark && (s.told || s.report.InMotion))
}

// unseen says that what the tenant serves is not known to be well: nobody could
// look, or has not yet.
func (s *seat) unseen() bool { return s.report.State == Unknown || s.report.Unseen != "" }

// laneKey names the lane of a tenant. One without a template changes alone.
func laneKey(t *plans.Tenant, target plans.Target) (key, template, release string) {
	if t.Template == "" {
		return t.Policy + "/tenant " + t.Name, "", digest(16, target.Active, target.Core, target.Idle, target.Aside, target.Live)
	}
	return t.Policy + "/" + t.Template, t.Template, t.Release
}

// Restore takes in a rollout from the journal, before the first plan.
func (r *Rollouts) Restore(head Rollout, members []RolloutMember) {
	key := head.Policy + "/" + head.Template
	if head.Template == "" && len(members) > 0 {
		key = head.Policy + "/tenant " + members[0].Tenant
	}
	l := r.lane(key, head.Policy, head.Template)
	a := restoreRun(l, head, members)
	r.number = max(r.number, head.Number)
	r.ordinals[head.Base] = max(r.ordinals[head.Base], head.Ordinal)
	for _, m := range a.members {
		if m.Owed != "" {
			l.owed[m.Tenant] = m
		}
	}
	if !head.Phase.Closed() {
		l.run = a
		r.weigh(key, l)
		return
	}
	l.closed = append(l.closed, a)
	slices.SortFunc(l.closed, func(x, y *active) int { return x.Number - y.Number })
}

// Attempted takes in how often a change was begun, of all rollouts there ever were.
func (r *Rollouts) Attempted(base string, times int) {
	r.ordinals[base] = max(r.ordinals[base], times)
}

// known are the rollouts of the lane that are remembered, oldest first.
func (l *lane) known() []*active {
	if l.run == nil {
		return l.closed
	}
	return append(slices.Clone(l.closed), l.run)
}

func (r *Rollouts) lane(key, policy, template string) *lane {
	l := r.lanes[key]
	if l == nil {
		l = &lane{all: r, key: key, policy: policy, template: template, owed: map[string]*RolloutMember{},
			news: map[string]bool{}, stale: map[string]bool{}}
		r.lanes[key] = l
	}
	return l
}

// Plan takes in what is wanted.
func (r *Rollouts) Plan(p RolloutPlan) {
	r.known, r.commit = true, p.Commit
	before := r.seats
	r.seats = make(map[string]*seat, len(p.Tenants))
	for _, l := range plans.Sorted(r.lanes) {
		l.order, l.whole = nil, true
		l.silent, l.mute, l.able, l.serving, l.ailing, l.dark, l.risked = 0, 0, 0, 0, 0, 0, 0
	}
	for _, t := range p.Tenants {
		key, template, release := laneKey(t.Want, t.Target)
		l := r.lane(key, t.Want.Policy, template)
		l.release, l.rules, l.whole = release, p.Policies[t.Want.Policy], true
		s := before[t.Want.Name]
		if s == nil {
			s = &seat{report: &Report{}}
		}
		s.lane, s.want, s.target = l, t.Want, t.Target
		s.silent, s.mute, s.able, s.serves, s.ails, s.dark, s.risked, s.told = false, false, false, false, false, false, false, false // counted anew
		r.seats[t.Want.Name] = s
		l.order = append(l.order, s)
		l.news[t.Want.Name] = true
		s.weigh()
	}
	for key, l := range plans.Sorted(r.lanes) {
		if l.run != nil {
			for _, m := range l.run.members {
				l.news[m.Tenant] = true // also those that left
				if m.busy() {
					l.run.tells(m)
				}
			}
		}
		for name := range plans.Sorted(l.owed) {
			l.news[name] = true
		}
		if len(l.order) == 0 && l.run == nil && len(l.closed) == 0 {
			delete(r.lanes, key)
			delete(r.wakes, key)
			continue
		}
		r.dirty[key] = true
	}
}

// Hear takes in what a tenant's machine says of itself. The report is kept and
// must not be changed.
func (r *Rollouts) Hear(report *Report) {
	s := r.seats[report.Tenant]
	if s == nil {
		return
	}
	if a := s.lane.run; a != nil && s.report.OneWay != report.OneWay {
		a.asked = false // what can be answered may be another
	}
	s.report = report
	s.weigh()
	s.lane.news[report.Tenant] = true
	r.dirty[s.lane.key] = true
}

// Answered says that the answers may be others than before.
func (r *Rollouts) Answered() {
	for key, l := range plans.Sorted(r.lanes) {
		if l.run != nil || len(l.closed) > 0 {
			r.dirty[key] = true
		}
	}
}

// Due says that Decide has something to do.
func (r *Rollouts) Due(now time.Time) bool {
	if !r.known {
		return false
	}
	if len(r.dirty) > 0 {
		return true
	}
	next := r.Next()
	return !next.IsZero() && !next.After(now)
}

// Next is when something is due though nothing is heard; zero: nothing is.
func (r *Rollouts) Next() time.Time {
	var next time.Time
	for _, at := range plans.Sorted(r.wakes) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// Moves says that a rollout goes on by itself, if nothing goes wrong. One that
// waits for a window does later: a pass does not wait for it.
func (r *Rollouts) Moves() bool {
	if !r.known || len(r.dirty) > 0 {
		return r.known
	}
	for key := range plans.Sorted(r.wakes) {
		if l := r.lanes[key]; l == nil || l.run == nil || l.run.Gate.For != GateWindow {
			return true
		}
	}
	return false
}

// Decide brings every rollout as far as it may go now. Answers are the decisions
// in force, by question id.
func (r *Rollouts) Decide(now time.Time, answers map[string]string) RolloutDelta {
	for key, at := range plans.Sorted(r.wakes) {
		if !at.After(now) {
			r.dirty[key] = true
		}
	}
	r.delta = RolloutDelta{}
	for key := range plans.Sorted(r.dirty) {
		l := r.lanes[key]
		if l == nil {
			continue
		}
		delete(r.wakes, key)
		d := decision{lane: l, now: now, answers: answers}
		d.decide()
		if !d.wake.IsZero() {
			r.wakes[key] = d.wake
		}
		r.weigh(key, l)
	}
	r.dirty = emptied(r.dirty)
	slices.SortFunc(r.delta.Permits, func(a, b TenantPermit) int { return strings.Compare(a.Tenant, b.Tenant) })
	r.delta.Wake = r.Next()
	return r.delta
}

// Skip takes time out of the bakes that nobody looked at: it proves no health
// and uses up nobody's patience.
func (r *Rollouts) Skip(unseen time.Duration) {
	later := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.Add(unseen)
	}
	for key, l := range plans.Sorted(r.lanes) {
		a := l.run
		if a == nil {
			continue
		}
		r.dirty[key] = true
		if !a.Well.IsZero() {
			a.Well, a.Dark, a.dirty = later(a.Well), later(a.Dark), true
		}
		for name := range plans.Sorted(a.unwell) {
			a.change(a.byName[name], func(m *RolloutMember) { m.Unwell = later(m.Unwell) })
		}
	}
}

// List returns all rollouts that are remembered, newest first.
func (r *Rollouts) List() []Rollout {
	var out []Rollout
	for _, l := range plans.Sorted(r.lanes) {
		for _, a := range l.closed {
			out = append(out, a.copy())
		}
		if l.run != nil {
			out = append(out, l.run.copy())
		}
	}
	slices.SortFunc(out, func(a, b Rollout) int { return b.Number - a.Number })
	return out
}

// Open returns the rollouts that are not closed, oldest first.
func (r *Rollouts) Open() []Rollout {
	var out []Rollout
	for key := range plans.Sorted(r.going) {
		out = append(out, r.lanes[key].run.copy())
	}
	slices.SortFunc(out, func(a, b Rollout) int { return a.Number - b.Number })
	return out
}

// weigh books whether a lane has a rollout that is not closed.
func (r *Rollouts) weigh(key string, l *lane) {
	if l.run != nil {
		r.going[key] = true
	} else {
		delete(r.going, key)
	}
}

// Question is what the rollout asks, nil while it asks nothing.
func (r *Rollout) Question() *Question {
	if r.Trip != nil {
		return r.Trip.Question
	}
	return r.Ask
}

// find returns a rollout and its lane; nil for an unknown id.
func (r *Rollouts) find(id string) (*lane, *active) {
	for _, l := range plans.Sorted(r.lanes) {
		if l.run != nil && l.run.ID == id {
			return l, l.run
		}
		for _, a := range l.closed {
			if a.ID == id {
				return l, a
			}
		}
	}
	return nil, nil
}

// Policy is the policy of a rollout as it is in the plan: with the windows and
// freeze dates that its Rules leave out.
func (r *Rollouts) Policy(id string) plans.BatchPolicy {
	l, a := r.find(id)
	if a == nil {
		return plans.BatchPolicy{}
	}
	return l.rules
}

// Get returns one rollout.
func (r *Rollouts) Get(id string) (Rollout, bool) {
	_, a := r.find(id)
	if a == nil {
		return Rollout{}, false
	}
	return a.copy(), true
}

// Members returns the members of a rollout in its order; nil for an unknown id.
func (r *Rollouts) Members(id string) []RolloutMember {
	_, a := r.find(id)
	if a == nil {
		return nil
	}
	out := make([]RolloutMember, len(a.members))
	for i, m := range a.members {
		out[i] = *m
	}
	return out
}
