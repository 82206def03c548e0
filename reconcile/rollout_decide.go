package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// decision is one lane brought as far as it may go at one time.
type decision struct {
	*lane
	now     time.Time
	answers map[string]string
	wake    time.Time
	gate    Gate // what the rollout waits for
}

func (d *decision) decide() {
	for name := range plans.Sorted(d.news) {
		d.heard(name)
	}
	d.news = emptied(d.news)
	d.readsFloor()
	for d.step() {
	}
	if d.run != nil {
		d.closeGate()
	}
	d.permits()
	if d.run != nil {
		d.flush(d.run)
	}
}

// flush hands out what changed of a rollout's memory.
func (d *decision) flush(a *active) {
	out := &d.all.delta
	if a.dirty || len(a.changed) > 0 {
		out.Rollouts = append(out.Rollouts, a.copy())
	}
	out.Members = slices.Grow(out.Members, len(a.changed))
	for place := range plans.Sorted(a.changed) {
		out.Members = append(out.Members, ChangedMember{a.ID, *a.members[place]})
	}
	a.dirty = false
	a.changed = emptied(a.changed)
}

// step does the next thing there is to do; its order is its meaning.
func (d *decision) step() bool {
	a := d.run
	switch {
	case a == nil:
		return d.begin()
	case d.release != a.To || len(d.order) == 0:
		d.close(RolloutSuperseded, "a newer release came: what is in motion is finished or undone, and the next rollout starts from what is there")
		return true
	case a.Phase == RolloutRollingBack:
		return d.goesBack()
	case d.takenBack():
		return true
	case a.Trip != nil:
		return d.tripped()
	case d.breaks():
		return true
	case d.mute > 0:
		d.waitsForWord()
		return false
	case !a.Open:
		return d.border()
	case len(a.queue) > 0:
		return d.start()
	case a.unfinished > 0:
		d.waitsForMotion("the batch is passed when all of it are well")
		return d.judgeUnwell()
	}
	return d.pass()
}

func (d *decision) wakeAt(t time.Time) {
	if d.wake.IsZero() || t.Before(d.wake) {
		d.wake = t
	}
}

// begin plans the next rollout of the lane, once every tenant has said where it
// stands and what the last rollout left to withhold is withheld.
func (d *decision) begin() bool {
	if d.reopens() {
		return true
	}
	if d.silent > 0 || d.able == 0 || len(d.owed) > 0 {
		return false
	}
	head, members := d.form()
	d.all.number++
	d.all.ordinals[head.Base] = head.Ordinal
	if d.all.delta.Attempts == nil {
		d.all.delta.Attempts = map[string]int{}
	}
	d.all.delta.Attempts[head.Base] = head.Ordinal
	head.Number, head.Commit = d.all.number, d.all.commit
	head.Planned, head.Since = d.now, d.now
	d.run = newActive(d.lane, head, members)
	for _, m := range members {
		d.run.changed[m.Place] = true
	}
	d.whole = true
	a := d.run
	text := a.ID + " moves " + d.rest().membersText() + " of " + d.subject() + " by policy " + d.policy
	if a.Note = d.notes(members); a.Note != "" {
		text += "; " + a.Note
	}
	d.event(RolloutPlanned, "", text, "from", a.From, "to", a.To, "template", a.Template, "policy", a.Policy,
		"members", itoa(len(members)), "commit", a.Commit)
	return true
}

// subject names what a rollout changes.
func (l *lane) subject() string {
	if l.template != "" {
		return "template " + l.template
	}
	_, name, _ := strings.Cut(l.key, "/")
	return name
}

// border begins the next batch, by the policy as it is now; without members
// left the rollout is completed.
func (d *decision) border() bool {
	a := d.run
	if a.next == len(a.members) {
		d.close(RolloutCompleted, "")
		return true
	}
	number := a.following(a.Batch, a.next)
	if !d.approved(number) || d.run != a {
		return d.run != a
	}
	if !d.opens(BatchName(number) + " begins") {
		return false
	}
	if d.unwellSince() {
		return true
	}
	if name := d.unseenSince(); name != "" {
		d.waitsForSight(name)
		return false
	}
	a.dirty = true
	a.Rules = cloneRules(d.rules)
	a.next = a.fill(number, a.next, &a.Rules, func(m *RolloutMember) bool {
		a.change(m, func(m *RolloutMember) { m.Batch = number })
		d.stale[m.Tenant] = true
		if d.passesOver(m) {
			return false
		}
		a.queue = append(a.queue, m.Place)
		return true
	})
	if len(a.queue) == 0 {
		return true // nobody of the rest may be moved
	}
	a.Batch, a.Open, a.Well = number, true, time.Time{}
	d.event(RolloutBatchStarted, "", a.ID+": "+BatchName(number)+" begins: "+d.names(a.queue),
		"batch", batchField(number), "size", itoa(len(a.queue)))
	return true
}

// unwellSince opens the last batch again if one of it that was well when it was
// passed is not any more: an answer or a window may have been waited for since.
func (d *decision) unwellSince() (opened bool) {
	a := d.run
	for i := a.next - 1; i >= 0 && a.members[i].Batch == a.Batch; i-- {
		m := a.members[i]
		s := d.seat(m)
		if m.Class == ClassUpgraded && s != nil && s.spoke() && s.report.Done && s.report.State == Degraded {
			d.reopensBatch()
			return true
		}
	}
	return false
}

// reopensBatch takes back that the last batch was passed. What its members said
// since then counts.
func (d *decision) reopensBatch() {
	a := d.run
	a.Open, a.Well, a.dirty = true, time.Time{}, true
	for i := a.next - 1; i >= 0 && a.members[i].Batch == a.Batch; i-- {
		m := a.members[i]
		if s := d.seat(m); m.Class == ClassUpgraded && s != nil && s.spoke() {
			d.judge(m, s.report)
		}
	}
}

// unseenSince names one of the last batch that was well when it was passed and
// cannot be seen now: it may have been unwell before, and is not known to be well.
func (d *decision) unseenSince() string {
	a := d.run
	for i := a.next - 1; i >= 0 && a.members[i].Batch == a.Batch; i-- {
		m := a.members[i]
		if s := d.seat(m); m.Class == ClassUpgraded && s != nil && s.unseen() {
			return m.Tenant
		}
	}
	return ""
}

// passesOver classes a member that cannot be started now.
func (d *decision) passesOver(m *RolloutMember) bool {
	class, why := d.passes(m)
	if class == ClassPending {
		return false
	}
	d.run.class(m, class, why, d.now)
	d.stale[m.Tenant] = true
	return true
}

// start starts the next tenant of the batch, if it may start now.
func (d *decision) start() bool {
	a := d.run
	m := a.members[a.queue[0]]
	if d.passesOver(m) {
		a.queue = a.queue[1:]
		return true
	}
	switch {
	case d.judgeUnwell():
		return true
	case len(a.unseen) > 0:
		d.waitsForMotion("")
		return false // what cannot be seen holds the wave
	case d.seat(m).report.State == Unknown:
		d.waitsForSight(m.Tenant)
		return false
	case a.Rules.Parallelism > 0 && a.unfinished >= a.Rules.Parallelism:
		d.waitsForMotion(m.Tenant + " is next, parallelism " + itoa(a.Rules.Parallelism))
		return false
	case a.unfinished > 0 && a.streaks.worst() >= a.Rules.Failures():
		d.waitsForMotion(m.Tenant + " is next, when those on the way cannot trip the breaker any more")
		return false
	}
	if !d.opens(m.Tenant+" is started") || !d.spares(m) {
		return false
	}
	if at := a.Started.Add(a.Rules.Stagger.Std()); !a.Started.IsZero() && d.now.Before(at) {
		d.waits(GateStagger, "the pause between two starts", m.Tenant+" is started at "+stamp(at), at)
		return false
	}
	a.queue = a.queue[1:]
	a.Started, a.dirty = d.now, true
	a.change(m, func(m *RolloutMember) {
		m.Class, m.Since, m.Why, m.Begun = ClassMoving, d.now, "", false
	})
	d.stale[m.Tenant] = true
	d.event(RolloutTenantStarted, m.Tenant, a.ID+": "+m.Tenant+" is started ("+BatchName(m.Batch)+")", "batch", batchField(m.Batch))
	if r := d.seat(m).report; r.Done { // it is there and not well: it gets the policy's time again
		a.change(m, func(m *RolloutMember) { m.Retry = false })
		d.judge(m, r)
	}
	return true
}

// pass lets the batch pass once all of it are well for the bake.
func (d *decision) pass() bool {
	a := d.run
	switch blind := len(a.unseen) > 0; {
	case a.Well.IsZero():
		a.Well, a.Dark, a.dirty = d.now, time.Time{}, true
		if blind {
			a.Dark = d.now
		}
	case blind && a.Dark.IsZero():
		a.Dark, a.dirty = d.now, true
	case !blind && !a.Dark.IsZero():
		a.Well, a.Dark, a.dirty = a.Well.Add(d.now.Sub(a.Dark)), time.Time{}, true
	}
	for name := range plans.Sorted(a.unseen) {
		d.waitsForSight(name)
		return false
	}
	bake := a.Rules.Bake
	if a.Batch == CanaryBatch && a.Rules.Canary != nil {
		bake = a.Rules.Canary.Bake
	}
	if at := a.Well.Add(bake.Std()); d.now.Before(at) {
		d.waits(GateBake, BatchName(a.Batch)+" is well and must stay so for "+bake.String(), "is passed at "+stamp(at), at)
		return false
	}
	var s Summary
	for i := a.next - 1; i >= 0 && a.members[i].Batch == a.Batch; i-- {
		s.count(a.members[i].Class, 1)
	}
	a.Open, a.dirty = false, true
	d.event(RolloutBatchCompleted, "", a.ID+": "+BatchName(a.Batch)+" is done: "+s.String(), append([]string{"batch", batchField(a.Batch)}, s.fields()...)...)
	return true
}

// close ends the rollout. Whoever was not moved keeps what it has.
func (d *decision) close(phase RolloutPhase, why string) {
	a := d.run
	var busy []*RolloutMember
	reason := map[RolloutPhase]string{RolloutAborted: Aborted, RolloutRolledBack: RolledBack, RolloutPartlyBack: RolledBack}[phase]
	for _, m := range a.members {
		switch {
		case m.Class == ClassPending || m.Class == ClassMoving && !m.Begun:
			a.class(m, ClassSkipped, "not started", d.now)
		case m.Class == ClassMoving && a.unseen[m.Tenant]:
			a.class(m, ClassUnknown, "it could not be seen when the rollout was closed", d.now)
		case m.Class == ClassMoving:
			a.class(m, ClassSkipped, "it was on its way when the rollout was closed", d.now)
		}
		d.owes(m, reason)
		if m.busy() { // a failed one still on its way back
			busy = append(busy, m)
		}
	}
	a.Phase, a.Why, a.Since, a.Ended = phase, why, d.now, d.now
	a.Trip, a.Ask, a.Open, a.queue, a.Gate, a.dirty = nil, nil, false, nil, Gate{}, true
	for _, m := range busy {
		a.tells(m)
	}
	kind := RolloutEnded
	var left []string
	if phase == RolloutRolledBack || phase == RolloutPartlyBack {
		kind = RolloutWentBack
		for _, m := range a.members {
			if m.moved() {
				left = append(left, m.Tenant)
			}
		}
	}
	text := a.ID + " is " + phaseWords[phase] + ": " + a.Summary.String()
	if why != "" {
		text += "; " + why
	}
	d.event(kind, "", text, append([]string{"outcome", string(phase), "why", why, "notBack", strings.Join(left, ",")}, a.Summary.fields()...)...)
	d.flush(a)
	d.run, d.whole = nil, true
	a.streaks = nil
	d.closed = append(d.closed, a)
	d.forget()
}

// owes has the target of a member withheld that a rollout was closed without, if
// the rollout says so: also of one that was held or passed over, for it would be
// moved by the next rollout when it is free again.
func (d *decision) owes(m *RolloutMember, reason string) {
	s := d.seat(m)
	if reason == "" || s == nil || m.Class != ClassSkipped && m.Class != ClassHeld || s.spoke() && (s.report.Failed || s.report.Done) {
		return
	}
	d.run.change(m, func(m *RolloutMember) { m.Owed = reason })
	d.owed[m.Tenant] = m
}

// forget drops the oldest closed rollouts, unless something of them is owed.
func (d *decision) forget() {
	for len(d.closed) > keepClosed {
		old := d.closed[0]
		for _, m := range old.members {
			if d.owed[m.Tenant] == m {
				return
			}
		}
		d.closed = d.closed[1:]
		dropped := DroppedRollout{ID: old.ID}
		for _, m := range old.members {
			dropped.Tenants = append(dropped.Tenants, m.Tenant)
		}
		d.all.delta.Dropped = append(d.all.delta.Dropped, dropped)
	}
}

var phaseWords = map[RolloutPhase]string{
	RolloutPlanning: "planned", RolloutRunning: "running", RolloutWaiting: "waiting", RolloutRollingBack: "rolling back",
	RolloutCompleted: "completed", RolloutAborted: "aborted", RolloutRolledBack: "rolled back", RolloutPartlyBack: "rolled back in part", RolloutSuperseded: "superseded",
}

func (d *decision) event(kind, tenant, text string, pairs ...string) {
	e := Event{Time: d.now, Kind: kind, Tenant: tenant, Text: text, Fields: map[string]string{"rollout": d.run.ID}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			e.Fields[pairs[i]] = pairs[i+1]
		}
	}
	d.all.delta.Events = append(d.all.delta.Events, e)
}

// names lists the tenants at places, the first few of many.
func (d *decision) names(places []int) string {
	const few = 8
	var names []string
	for _, p := range places[:min(len(places), few)] {
		names = append(names, d.run.members[p].Tenant)
	}
	text := strings.Join(names, ", ")
	if more := len(places) - few; more > 0 {
		text += " and " + itoa(more) + " more"
	}
	return text
}

func batchField(n int) string {
	if n == CanaryBatch {
		return "canary"
	}
	return itoa(n)
}

func (s Summary) counts() []struct {
	word, field string
	n           int
} {
	return []struct {
		word, field string
		n           int
	}{
		{"upgraded", "upgraded", s.Upgraded}, {"failed", "failed", s.Failed}, {"rolled back", "rolledBack", s.RolledBack},
		{"skipped", "skipped", s.Skipped}, {"held", "held", s.Held}, {"unknown", "unknown", s.Unknown},
	}
}

// String is the summary in words, without what is none.
func (s Summary) String() string {
	var parts []string
	for _, c := range s.counts() {
		if c.n > 0 {
			parts = append(parts, itoa(c.n)+" "+c.word)
		}
	}
	if len(parts) == 0 {
		return "nothing was moved"
	}
	return strings.Join(parts, ", ")
}

func (s Summary) fields() []string {
	var out []string
	for _, c := range s.counts() {
		out = append(out, c.field, itoa(c.n))
	}
	return out
}
