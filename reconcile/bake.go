package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// What real answers must not do in a bake, beside the old slot's own figures.
// Below bakeRequests too little was answered to judge by; the latency bound is
// wide because long answers (downloads, streams) count too.
const (
	bakeRequests = 20
	bakeErrors   = 5 // percentage points of 5xx more than the old slot
	bakeSlow     = 5 // times the old slot's mean, and
	bakeSlower   = time.Second
)

// bake watches the new version serve: its probes, and its real answers beside
// those of the old one.
func (m *machine) bake() bool {
	a := m.rec.Attempt
	parts, ok := m.parts(m.rec.Current)
	if !ok {
		m.fail("the spec of "+short(a.New.Generation)+" is not known any more", nil)
		return false
	}
	if a.Accepted {
		m.rec.Current.Baked = true
		return true
	}
	m.policies()
	if m.rec.Kept != nil {
		m.holdData(Bake)
	}
	sick := false
	for _, p := range runs(parts, false) {
		h := m.healthOf(p)
		i := m.instance(p)
		switch {
		case h == healthy:
		case h == unseen, h == unproved && i != nil && i.Phase == observed.Running && p.svc.Health != nil && i.Health.At.IsZero():
			// Not known is neither: it stops the clock and resets nothing.
			a.Down = a.Down || h == unproved // it, or we, began anew
			m.unspend()
			m.poll(pollHealth)
			return false
		case h == failing:
			m.failInstance(p, p.name+" is failing in its bake: "+i.Health.Last)
			return false
		case m.startsSince(p.key, a.Since) >= crashStarts:
			m.failInstance(p, p.name+" crashes in a loop in its bake")
			return false
		case (i == nil || i.Phase == observed.Exited) && m.oldServes():
			m.failInstance(p, p.name+" ended in its bake while the old version is ready")
			return false
		default:
			switch {
			case sick:
			case a.Sick == 0:
				a.Sick = 1 // seen sick from now on, and not before
			default:
				a.Sick += m.passed
			}
			sick, a.Down = true, true
			// Only an observation made after the limit says that it has passed.
			if a.Sick-max(0, m.now.Sub(m.seen.Runtime.At)) >= p.svc.Health.Effective().Within.Std() {
				m.failInstance(p, p.name+" did not become healthy again in its bake")
				return false
			}
		}
	}
	if sick {
		// Healthy for the whole of it: the clock begins again.
		a.Spent = 0
		m.careFor(m.rec.Current, runs(parts, false))
		m.poll(pollHealth)
		return false
	}
	a.Sick = 0
	if len(m.actions) > 0 {
		return false
	}
	if a.Down && !m.countAnew(runs(parts, false)) {
		m.poll(pollHealth)
		return false
	}
	if why := m.answersBad(); why != "" && m.rec.Kept != nil {
		m.fail(why, nil)
		return false
	}
	if a.TakenBack != "" {
		m.poll(pollBlind)
		return false // it is repaired as it serves, and not taken for proved
	}
	left := m.bakeTime() - m.spentAt(m.seen.Runtime.At)
	if left > 0 {
		m.limit = "is done when all of it has stayed healthy for " + m.bakeTime().String()
		m.poll(min(left, 5*time.Second))
		return false
	}
	m.rec.Current.Baked = true
	if m.bakeTime() == 0 {
		return true
	}
	m.event(TenantBaked, m.in.Name+" stayed healthy for "+m.bakeTime().String(),
		"slot", string(a.New.Slot), "attempt", a.ID)
	return true
}

func (m *machine) bakeTime() time.Duration {
	a := m.rec.Attempt
	if a.Op == Backward && m.rec.Current.Baked {
		return 0
	}
	if m.want != nil {
		a.Bake = m.want.Bake // read at each use; the last word where the plan names it no more
	}
	return a.Bake.Std()
}

// oldServes says that the old version could take over at once.
func (m *machine) oldServes() bool {
	old := m.rec.Kept
	if old == nil || !m.wayBackFree() {
		return false
	}
	parts, ok := m.parts(old)
	for _, p := range runs(parts, false) {
		if m.healthOf(p) != healthy {
			return false
		}
	}
	return ok
}

// countAnew begins to count the new slot's answers anew, once the router was looked
// at since all of the new version is up.
func (m *machine) countAnew(parts []part) bool {
	a := m.rec.Attempt
	for _, p := range parts {
		if i := m.instance(p); i != nil && (m.seen.Router.At.Before(i.Health.Since) || m.seen.Router.At.Before(i.Started)) {
			return a.New.Entry.Tenant == "" // without routes nothing is counted
		}
	}
	a.Down, a.Before = false, m.seen.Route.Slots[a.New.Slot]
	return true
}

// since is what a slot answered since it had answered as much as before. The
// router counts from zero when it is started again.
func since(now, before observed.Usage) observed.Usage {
	if now.Requests < before.Requests || now.Errors < before.Errors || now.Millis < before.Millis {
		return now
	}
	now.Requests -= before.Requests
	now.Errors -= before.Errors
	now.Millis -= before.Millis
	return now
}

// answersBad says why the real answers of the new slot speak against it.
func (m *machine) answersBad() string {
	a := m.rec.Attempt
	if m.rec.Kept == nil || a.New.Entry.Tenant == "" {
		return ""
	}
	now, old := since(m.seen.Route.Slots[a.New.Slot], a.Before), m.seen.Route.Slots[m.rec.Kept.Slot]
	if now.Requests < bakeRequests {
		return ""
	}
	bad, was := share(now), share(old)
	if bad >= was+bakeErrors {
		return fmt.Sprintf("%d of %d answers of the new version are server errors (%.1f %%; the old version: %.1f %%)",
			now.Errors, now.Requests, bad, was)
	}
	slow, before := mean(now), mean(old)
	if old.Requests >= bakeRequests && slow > bakeSlow*before && slow > before+bakeSlower {
		return fmt.Sprintf("the new version answers in %s on average, the old one in %s", slow, before)
	}
	return ""
}

func share(u observed.Usage) float64 {
	if u.Requests == 0 {
		return 0
	}
	return 100 * float64(u.Errors) / float64(u.Requests)
}

func mean(u observed.Usage) time.Duration {
	if u.Requests == 0 {
		return 0
	}
	return time.Duration(u.Millis/u.Requests) * time.Millisecond
}

// wayBackFree says that going back by ourselves loses nothing: no quiesced
// clone, the author accepts the loss, or no write was answered yet.
func (m *machine) wayBackFree() bool {
	cur := m.rec.Current
	return !cur.Wrote || m.onBack() == "" || m.onBack() == plans.Discard
}

// onBack is the word about writes on a quiesced clone when going back, the
// strictest of all volumes; "" where no write can be lost.
func (m *machine) onBack() string { return m.onBackTo(m.rec.Kept) }

// onBackTo is the same of a way back to another version: the stricter of what is
// said of the version that serves and of what the plan says now. A plan that names
// another one may have no quiesced clone any more, or another word for its own.
func (m *machine) onBackTo(v *Version) string {
	cur := m.rec.Current
	switch {
	case v == nil || maps.Equal(v.Data, cur.Data):
		return ""
	case m.want == nil:
		return cur.OnBack
	}
	return stricter(cur.OnBack, onBack(m.want))
}

// noteOnBack takes in what the plan says of writes to the version that serves, as
// long as it names that version. One that has no quiesced clone any more takes no
// word back: the version was made with it.
func (m *machine) noteOnBack() {
	if cur := m.rec.Current; cur != nil && m.want != nil && m.target.Core == cur.Generation {
		cur.OnBack = cmp.Or(onBack(m.want), cur.OnBack)
	}
}

// onBack is the strictest word a plan has about writes on its quiesced clones.
func onBack(t *plans.Tenant) string {
	word := ""
	for _, v := range plans.Sorted(t.Volumes) {
		if v.OnUpgrade != plans.Clone || v.Writes != plans.Quiesce {
			continue
		}
		word = stricter(word, cmp.Or(v.OnBack, plans.Stay))
	}
	return word
}

// stricter is the one of two words by which less is left behind: stay asks, carry
// takes all along, discard accepts the loss, "" says nothing.
func stricter(a, b string) string {
	order := []string{"", plans.Discard, plans.Carry, plans.Stay}
	if slices.Index(order, a) < slices.Index(order, b) {
		return b
	}
	return a
}
