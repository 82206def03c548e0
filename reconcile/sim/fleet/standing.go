package fleet

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// standing is what is to be known of what a tenant serves: how it is in truth, as
// far as somebody could have looked.
type standing int

const (
	nothing standing = iota // it serves nothing yet
	moving                  // it is on its way, and seen to be
	well
	broken // seen to be, or seen to be when it was seen last
	unseen // it was well when it was seen last, or on its way
)

// stands is the standing of a tenant now.
func (t *tenant) stands(now time.Time) standing {
	switch {
	case t.serves.Zero():
		return nothing
	case !t.sees(now) && t.broken:
		return broken
	case !t.sees(now):
		return unseen
	case t.try != nil:
		return moving
	case t.sick(now):
		return broken
	}
	return well
}

// crowd counts the tenants that change together by their standing.
type crowd map[standing]int

// String lists them.
func (c crowd) String() string {
	var list []string
	for is, word := range []string{nothing: "serving nothing", moving: "on the way", well: "well", broken: "broken", unseen: "unseen"} {
		if n := c[standing(is)]; n > 0 {
			list = append(list, fmt.Sprint(n, " ", word))
		}
	}
	return strings.Join(list, ", ")
}

// serving are those that serve anything.
func (c crowd) serving() int { return c[moving] + c[well] + c[broken] + c[unseen] }

// crowd counts those of a rollout, also those that are no members.
func (b *Books) crowd(l *log) crowd {
	c := crowd{}
	for _, e := range b.tenants {
		if e.want != nil && e.want.Policy == l.Policy && e.want.Template == l.Template {
			c[e.stands]++
		}
	}
	return c
}

// Stood takes in what is to be known of what a tenant serves.
func (b *Books) Stood(now time.Time, tenant string, is standing) {
	e := b.entry(tenant)
	if is != e.stands && e.stands == unseen {
		e.hidden = append(e.hidden, gap{e.stood, now.Sub(e.stood)})
	}
	if is != e.stands {
		e.stands, e.stood = is, now
	}
}

// hid is how long since then the tenant of a batch was not seen that was not seen
// for longest, of those that are where the rollout wants them.
func (b *Books) hid(now, since time.Time, l *log) (most time.Duration) {
	for _, name := range l.stage {
		e, m := b.entry(name), l.members[name]
		if m.Class != reconcile.ClassUpgraded || e.want == nil || e.target != m.Target {
			continue
		}
		gaps := e.hidden
		if e.stands == unseen {
			gaps = append(gaps[:len(gaps):len(gaps)], gap{e.stood, now.Sub(e.stood)})
		}
		var sum time.Duration
		for _, g := range gaps {
			if end := g.from.Add(g.d); end.After(since) {
				sum += end.Sub(maxTime(g.from, since))
			}
		}
		most = max(most, sum)
	}
	return most
}
