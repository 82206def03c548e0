package reconcile

import "github.com/gitops-fleet/reconcile/plans"

// AlsoBack says, for people, what a way back takes back beside the version that is
// kept: services upgraded alone, and where the core stays the routes and the named
// idle slot. Nothing where the target was not reached whole: then what moved of it
// goes back by itself.
func (rec Record) AlsoBack() []string {
	p, cur := rec.Past, rec.Current
	if p == nil || cur == nil || rec.Target != p.To {
		return nil
	}
	var lines []string
	say := func(is, was map[string]string) {
		for name, digest := range plans.Sorted(was) {
			if is[name] != digest {
				lines = append(lines, "Going back takes "+name+" back to "+short(digest)+".")
			}
		}
		for name := range plans.Sorted(is) {
			if was[name] == "" {
				lines = append(lines, "Going back takes "+name+" away.")
			}
		}
	}
	say(rec.Shared, p.Shared)
	if cur.Slot != p.Slot || cur.Generation != p.Generation {
		return lines // the version that is kept has its own of all others
	}
	say(cur.Sidecars, p.Sidecars)
	if !sameEntry(alone(p.Entry, cur.Slot), alone(rec.Entry, cur.Slot)) {
		lines = append(lines, "Going back leads the routes as they were.")
	}
	switch now := rec.Idle; {
	case p.Idle == nil && now != nil:
		lines = append(lines, "Going back takes "+short(now.Generation)+" out of the named idle slot.")
	case p.Idle != nil && (now == nil || now.Generation != p.Idle.Generation):
		lines = append(lines, "Going back puts "+short(p.Idle.Generation)+" in the named idle slot.")
	}
	return lines
}
