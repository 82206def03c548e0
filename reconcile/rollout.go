package reconcile

import "github.com/gitops-fleet/reconcile/plans"

// The rollout and a tenant's machine meet in permits and reports only: the
// rollout reads reports and hands out permits, and knows nothing of slots,
// phases or drivers. This one is the simplest there is, and keeps no memory of
// its own: within a change, one tenant after the other in plan order, and none
// after the first that failed.

// Member is one tenant as a rollout sees it: what the plan says of it and what
// its machine last said of itself.
type Member struct {
	Want   *plans.Tenant // nil: the plan does not name it
	Target plans.Target  // of Want
	Report Report
}

// Change names what a member's way to its target is part of: the move of all
// tenants of a template to the same release, or a change of its own.
func (m Member) Change() string {
	w := m.Want
	switch {
	case w == nil:
		return ""
	case w.Template == "", w.Release != "" && m.Report.Release == w.Release:
		return "tenant/" + w.Name
	}
	return "template/" + w.Template + "/" + w.Release
}

// Permits returns what each member may do, in the order given, which is the
// plan's. Members of different changes do not wait for each other.
func Permits(members []Member) []Permit {
	changes := map[string]*change{}
	for i := range members {
		m := &members[i]
		c := changes[m.Change()]
		if c == nil {
			c = &change{}
			changes[m.Change()] = c
		}
		c.count(m)
	}
	permits := make([]Permit, len(members))
	for i := range members {
		permits[i] = changes[members[i].Change()].permit(&members[i])
	}
	return permits
}

// change gathers what is known of one change.
type change struct {
	failed string // the first member that failed
	moving string // the first member in motion
	next   string // the first member that could begin
}

// standing is where a member stands in its change.
type standing int

const (
	waits  standing = iota
	moving          // an attempt is under way
	failed          // its target failed here
	passed          // done, or nobody may move it: the next does not wait for it
)

func (m *Member) standing() standing {
	r := &m.Report
	switch {
	case m.Want == nil || m.Want.Removed:
		return passed
	case r.InMotion:
		return moving
	case r.Target != m.Target:
		return waits // it has not spoken about this target yet
	case r.Failed:
		return failed
	case r.Done, r.State == Held, r.State == HeldBack:
		return passed
	}
	return waits
}

func (c *change) count(m *Member) {
	first := func(name *string) {
		if *name == "" {
			*name = m.Want.Name
		}
	}
	switch m.standing() {
	case failed:
		first(&c.failed)
	case moving:
		first(&c.moving)
	case waits:
		first(&c.next)
	}
	if m.standing() == moving && m.Report.Failed {
		first(&c.failed) // still on its way back
	}
}

func (c *change) permit(m *Member) Permit {
	if m.Want == nil {
		return Permit{}
	}
	leave := Permit{Go: true, Target: m.Target}
	switch name := m.Want.Name; m.standing() {
	case waits:
		switch {
		case c.failed != "":
			return Permit{Why: c.failed + " failed at this change; nothing of it moves before that is settled"}
		case c.moving != "":
			return Permit{Why: "waits for " + c.moving + ", one after the other"}
		case c.next != name:
			return Permit{Why: "waits for " + c.next + ", one after the other"}
		}
	case passed:
		if m.Report.State == HeldBack && c.failed != "" {
			return Permit{Why: c.failed + " failed at this change; nothing of it moves before that is settled"}
		}
	case moving, failed:
	}
	return leave
}
