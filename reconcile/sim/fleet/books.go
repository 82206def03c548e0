package fleet

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Books are the checkers' own records of the rollouts of a node. They are written
// from the plan, from what tenants do and say, and from what is written down; the
// rules are worked out anew from them, never taken from the machine. The first
// rule broken is kept.
type Books struct {
	// Reached counts what was come to see, for the sum over many runs.
	Reached map[string]int

	broken   *Violation
	tenants  map[string]*entry
	policies map[string]plans.BatchPolicy // in force
	logs     map[string]*log
	ids      map[string]bool // ever given to a rollout
	skips    []gap
}

// entry is one tenant.
type entry struct {
	want     *plans.Tenant // nil: the plan does not name it
	target   target
	at       target            // reached last, in truth
	whole    target            // the same, but for where it stands half way
	was      map[target]target // where it was when it began to move to another, in truth
	place    int               // in the plan
	to       target            // on its way there, in truth; zero: it is not
	report   reconcile.Report
	heard    bool      // since we began
	stands   standing  // in truth, as far as it is to be known
	stood    time.Time // since when
	hidden   []gap     // when it was not seen, but now
	rest     time.Time // since when it is at rest, by its reports; zero: it is not
	withheld map[target]bool
	owed     target // withheld by a rollout that was closed, and not by the tenant yet
	lifted   bool   // by a person's word on the host, since it last began
}

// gap is time nobody looked at.
type gap struct {
	from time.Time
	d    time.Duration
}

// log is one rollout, as it is written down and as it went.
type log struct {
	reconcile.Rollout
	order   []*reconcile.RolloutMember // by place
	members map[string]*reconcile.RolloutMember
	labels  map[string]map[string]string // of members, when it was planned
	first   plans.BatchPolicy            // in force when it was planned
	begun   map[string]bool              // who was ever told to move
	batch   int                          // under way
	rules   plans.BatchPolicy            // in force when it began
	baked   bool                         // it was passed, and something else is waited for
	most    int                          // how many may be told to move in it
	asked   int                          // how often a rule could have been worked out
	stage   []string                     // told to move in it, in their order
	failed  map[string]time.Time         // since when who failed did
	floored bool                         // it was stopped by the floor: a person may have said to go on
	ring    string                       // of the first of them
	started time.Time                    // when the last member was told to move
}

// NewBooks returns empty books.
func NewBooks() *Books {
	return &Books{Reached: map[string]int{}, tenants: map[string]*entry{}, policies: map[string]plans.BatchPolicy{}, logs: map[string]*log{}, ids: map[string]bool{}}
}

// First is the first rule that was broken, nil while none is.
func (b *Books) First() *Violation { return b.broken }

func (b *Books) fail(rule, format string, args ...any) {
	if b.broken == nil {
		b.broken = &Violation{rule, fmt.Sprintf(format, args...)}
	}
}

func (b *Books) entry(name string) *entry {
	e := b.tenants[name]
	if e == nil {
		e = &entry{withheld: map[target]bool{}, was: map[target]target{}}
		b.tenants[name] = e
	}
	return e
}

// Planned takes in what is wanted.
func (b *Books) Planned(p reconcile.RolloutPlan) {
	for _, e := range b.tenants {
		e.want = nil
	}
	for i, t := range p.Tenants {
		e := b.entry(t.Want.Name)
		if e.owed != t.Target && !e.owed.Zero() {
			delete(e.withheld, e.owed) // the target changed before the tenant heard of it
			e.owed = target{}
		}
		e.want, e.target, e.place = t.Want, t.Target, i
	}
	for name, policy := range p.Policies {
		b.policies[name] = policy
	}
}

// Stands takes in where a tenant is when the books are opened.
func (b *Books) Stands(tenant string, at target) { b.entry(tenant).stays(at) }

func (e *entry) stays(at target) {
	e.at = at
	if !strings.HasPrefix(at.Aside, "half") {
		e.whole = at
	}
}

// Heard takes in what a tenant says of itself.
func (b *Books) Heard(now time.Time, r *reconcile.Report) {
	e := b.entry(r.Tenant)
	e.report, e.heard = *r, true
	switch {
	case r.State == reconcile.Unknown && !r.InMotion: // as it was
	case r.InMotion, r.State == reconcile.Unknown, r.Done && r.State == reconcile.Degraded:
		e.rest = time.Time{}
	case e.rest.IsZero():
		e.rest = now
	}
}

// Died takes in that what was heard is forgotten.
func (b *Books) Died() {
	for _, e := range b.tenants {
		e.heard = false
	}
}

// Skipped takes in that nobody looked for a while.
func (b *Books) Skipped(from time.Time, d time.Duration) { b.skips = append(b.skips, gap{from, d}) }

// Lifted takes in a person's word that a tenant may be tried again.
func (b *Books) Lifted(tenant string) {
	e := b.entry(tenant)
	e.lifted = true
	delete(e.withheld, e.target)
}

// Ended takes in where a tenant came to rest.
func (b *Books) Ended(_ time.Time, tenant string, at target) {
	e := b.entry(tenant)
	e.to = target{}
	e.stays(at)
}

// GaveUp takes in that a target failed a tenant, or was taken back from it.
func (b *Books) GaveUp(_ time.Time, tenant string, to target) {
	if e := b.entry(tenant); !to.Zero() {
		e.withheld[to] = true
		if e.owed == to {
			e.owed = target{}
		}
	}
}

// Broken is no rule of rollouts.
func (b *Books) Broken(string, time.Time, time.Time) {}

// unseen is how much of the time since then nobody looked at.
func (b *Books) unseen(since time.Time) (d time.Duration) {
	for _, g := range b.skips {
		if !g.from.Before(since) {
			d += g.d
		}
	}
	return d
}
