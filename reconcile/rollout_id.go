package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// RolloutBase names a change on a node: the policy, the template, the release
// it comes from and the one it goes to. An attempt's number is added from the
// second on.
func RolloutBase(policy, template, from, to, node string) string {
	return "ro-" + digest(6, policy, template, from, to, node)
}

func rolloutID(base string, ordinal int) string {
	if ordinal < 2 {
		return base
	}
	return base + "-" + itoa(ordinal)
}

// form makes the rollout that moves the lane's tenants to their targets. Its
// members are those that are not there yet, also if nobody may move them now.
func (l *lane) form() (Rollout, []*RolloutMember) {
	var members []*RolloutMember
	var from []string
	for _, s := range l.order {
		if s.report.Done || s.report.Op == Backward {
			continue
		}
		members = append(members, &RolloutMember{Tenant: s.want.Name, Target: s.target, From: s.report.Reached,
			FromRelease: s.report.Release, Ring: s.want.Labels["ring"]})
		from = append(from, cmp.Or(s.report.Release, "none"))
	}
	slices.Sort(from)
	l.arrange(members)
	head := Rollout{Policy: l.policy, Template: l.template, From: strings.Join(slices.Compact(from), "+"), To: l.release,
		Rules: cloneRules(l.rules), Phase: RolloutPlanning, Size: len(members)}
	subject := l.template
	if subject == "" {
		subject = l.key
	}
	head.Base = RolloutBase(l.policy, subject, head.From, head.To, l.all.node)
	head.Ordinal = l.all.ordinals[head.Base] + 1
	head.ID = rolloutID(head.Base, head.Ordinal)
	return head, members
}

// arrange puts members in the order of the rollout: canaries, then the rings of
// the policy, each as in the plan.
func (l *lane) arrange(members []*RolloutMember) {
	if rings := l.rules.Rings; len(rings) > 0 {
		ring := func(m *RolloutMember) int {
			if i := slices.Index(rings, m.Ring); i >= 0 {
				return i
			}
			return len(rings)
		}
		slices.SortStableFunc(members, func(a, b *RolloutMember) int { return ring(a) - ring(b) })
	}
	l.chooseCanaries(members)
	slices.SortStableFunc(members, func(a, b *RolloutMember) int {
		switch {
		case a.Canary && !b.Canary:
			return -1
		case b.Canary && !a.Canary:
			return 1
		}
		return 0
	})
	for i, m := range members {
		m.Place = i
	}
}

// chooseCanaries marks the canaries: who the policy selects; if nobody can be,
// the first member that may move.
func (l *lane) chooseCanaries(members []*RolloutMember) {
	c := l.rules.Canary
	if c == nil {
		return
	}
	n := 0
	var first *RolloutMember
	var stay names // selected, and may not move
	for _, m := range members {
		s := l.all.seats[m.Tenant]
		if s == nil {
			continue
		}
		if !s.mayMove() {
			if len(c.Select) > 0 && c.Selects(s.want.Labels) {
				stay.add(m.Tenant, s.stayText())
			}
			continue
		}
		if first == nil {
			first = m
		}
		if limit := c.Count; (limit == 0 && len(c.Select) == 0 || limit > 0) && n >= max(1, limit) {
			break
		}
		if c.Selects(s.want.Labels) {
			m.Canary = true
			n++
		}
	}
	if n > 0 || first == nil {
		return
	}
	first.Canary = true
	if stay.n == 0 {
		first.Why = "no member is selected as canary: the first one is"
		return
	}
	first.Why = "no selected canary may move, so that the first tenant that may is the canary: " + stay.text()
}

// stayText says why a member may not move, in a word.
func (s *seat) stayText() string {
	switch {
	case s.report.State == Held:
		return "held"
	case s.report.Failed:
		return "withheld"
	}
	return "held back"
}

// notes says what is unusual about how a rollout was formed, "" if nothing is.
func (l *lane) notes(members []*RolloutMember) string {
	var notes []string
	if len(members) > 0 && members[0].Why != "" {
		notes = append(notes, members[0].Why)
	}
	if len(l.rules.Rings) > 0 && l.template != "" {
		seen, outside := map[string]bool{}, 0
		for _, other := range plans.Sorted(l.all.lanes) {
			if other.policy != l.policy {
				continue
			}
			for _, s := range other.order { // a ring may be of another template alone
				seen[s.want.Labels["ring"]] = true
			}
		}
		for _, m := range members {
			if !slices.Contains(l.rules.Rings, m.Ring) {
				outside++
			}
		}
		if note := l.rules.RingsNote(seen, outside); note != "" {
			notes = append(notes, note)
		}
	}
	return strings.Join(notes, "; ")
}

// sameRing says that two members may be in one batch: where the policy has rings,
// none reaches from one into the next.
func sameRing(rules *plans.BatchPolicy, a, b *RolloutMember) bool {
	return len(rules.Rings) == 0 || a.Ring == b.Ring ||
		!slices.Contains(rules.Rings, a.Ring) && !slices.Contains(rules.Rings, b.Ring)
}
