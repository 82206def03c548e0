package reconcile

import (
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
)

// permits works out the permits that may be others than before.
func (d *decision) permits() {
	if d.whole {
		d.all.delta.Permits = slices.Grow(d.all.delta.Permits, len(d.order))
		for _, s := range d.order {
			d.permit(s)
		}
	} else {
		for name := range plans.Sorted(d.stale) {
			if s := d.all.seats[name]; s != nil && s.lane == d.lane {
				d.permit(s)
			}
		}
	}
	d.whole = false
	d.stale = emptied(d.stale)
}

func (d *decision) permit(s *seat) {
	p := d.grant(s)
	if p == s.permit {
		return
	}
	s.permit = p
	d.all.delta.Permits = append(d.all.delta.Permits, TenantPermit{s.want.Name, p})
}

// grant is what a tenant may do.
func (d *decision) grant(s *seat) Permit {
	there := s.spoke() && s.report.Done
	if m := d.owed[s.want.Name]; m != nil && m.Target == s.target {
		return Permit{Target: s.target, Withhold: m.Owed, Rollout: d.owing(m), Why: "its rollout was closed without it"}
	}
	a := d.run
	if a == nil {
		if there {
			return Permit{Go: true, Target: s.target}
		}
		if s.spoke() && !s.mayMove() {
			return Permit{Why: "it is in no rollout"}
		}
		return Permit{Why: "its rollout begins when every tenant of " + d.subject() + " has been looked at"}
	}
	m := a.byName[s.want.Name]
	if m == nil || d.seat(m) == nil {
		if there {
			return Permit{Go: true, Target: s.target}
		}
		return Permit{Rollout: a.ID, Why: "rollout " + a.ID + " goes on without it; it moves in one of its own afterwards"}
	}
	leave := Permit{Go: true, Target: s.target, Open: true, Rollout: a.ID}
	switch m.Class {
	case ClassMoving:
		leave.Retry, leave.Back = m.Retry, m.Back
		if m.Back {
			leave.Withhold, leave.From = RolledBack, m.From.Core
		}
		return leave
	case ClassUpgraded:
		return leave
	case ClassFailed:
		if m.Moves || there {
			return leave
		}
	case ClassRolledBack, ClassSkipped, ClassHeld, ClassUnknown:
		if there {
			return leave
		}
	case ClassPending:
		if a.Trip != nil {
			return Permit{Rollout: a.ID, Why: "rollout " + a.ID + " is stopped: " + a.Trip.Why}
		}
		if why := a.Gate.holdsAll(d.rules.Zone); why != "" {
			return Permit{Rollout: a.ID, Why: "rollout " + a.ID + " waits: " + why}
		}
		return Permit{Rollout: a.ID, Why: "waits for its turn in rollout " + a.ID}
	}
	return Permit{Rollout: a.ID, Open: true, Why: "rollout " + a.ID + " passed it over: " + m.Why}
}

// owing is the rollout that was closed without a member.
func (d *decision) owing(m *RolloutMember) string {
	for _, a := range d.known() {
		if a.byName[m.Tenant] == m {
			return a.ID
		}
	}
	return ""
}
