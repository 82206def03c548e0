package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// say sets what is reported; the first word of a step stands.
func (m *machine) say(s State, reason, why, next string) {
	if m.report.State != "" {
		return
	}
	m.report.State, m.report.Reason, m.report.Why, m.report.Next = s, reason, why, next
}

// saySo reports a target that is withheld.
func (m *machine) saySo(w *Withheld) {
	why := targetText(w.Target) + " is held back here: " + w.Why
	if p := m.past(); p != nil && p.Stuck != "" {
		why += "; not all of it is back: " + p.Stuck
	}
	m.say(HeldBack, w.Reason, why,
		"a new target in the plan, or the answer retry, tries again")
	m.report.Problem = cloneProblem(w.Problem)
}

// sayTrouble reports a problem that is waited out.
func (m *machine) sayTrouble(t *Trouble) {
	m.wakeAt(t.Next)
	state := Degraded
	if t.Problem.Class == "environment" {
		state = Unknown
	}
	m.say(state, "", sentence(t.Problem), "tries again at "+stamp(t.Next))
}

// sayWait reports the pause of a problem, and says whether there is one.
func (m *machine) sayWait() bool {
	if !m.waiting() {
		return false
	}
	m.wakeAt(m.rec.Trouble.Next)
	m.report.Problem = cloneProblem(&m.rec.Trouble.Problem)
	m.report.Next = "tries again at " + stamp(m.rec.Trouble.Next)
	return true
}

// tell completes the report and the memory of what was said.
func (m *machine) tell() {
	r := &m.report
	if m.rec.Attempt != nil {
		m.sayMotion()
	}
	if m.rec.Removal != nil {
		m.say(StateRemoving, "", "it is being removed", "")
	}
	m.saySteady()
	rec := &m.rec
	r.Tenant, r.Target, r.Op = m.in.Name, m.target, m.op()
	returns := m.returnDue()
	if a := rec.Attempt; a != nil {
		r.Phase, r.InMotion, r.Op = a.Phase, true, a.Op
		// One the plan moved on from is undone for another target, also where the
		// plan has come back to its own.
		r.ToTarget = a.Target == m.target && a.Reason != superseded || a.Undoes == m.target && m.want != nil
	}
	if returns {
		r.InMotion, r.ToTarget = true, true // also between two attempts of the way back
	}
	if cur := rec.Current; cur != nil {
		r.Active, r.Generation = cur.Slot, cur.Generation
	}
	if rec.Kept != nil {
		r.Kept, r.KeptUntil = rec.Kept.Slot, rec.KeptUntil
		if r.Phase == Idle && rec.Attempt == nil {
			r.Phase = Soak
		}
	}
	if rec.Removal != nil {
		r.Phase = Removing
	}
	if m.want != nil && rec.Attempt == nil && rec.Current != nil && !returns && m.reached() {
		r.Done = true
		rec.Release = m.want.Release
	}
	r.Release, r.Reached = rec.Release, rec.Target
	if w := rec.withheld(m.target); m.want != nil && w != nil {
		p := m.past()
		if h := rec.Past; p == nil && h != nil && rec.Target != h.To {
			p = h // half way to something else
		}
		r.Failed, r.FailedBy = true, w.Why
		r.Restored = rec.Attempt == nil && (p == nil || m.isPast(p))
		if r.Restored && p != nil {
			r.Reached = p.Target
		}
		if rec.Current != nil && rec.Current.Generation != r.Reached.Core {
			r.Restored = false // it came from half way to something else: that was never whole
		}
	}
	r.OneWay = m.oneWay()
	if p := m.past(); p != nil {
		r.BackFailed = p.Stuck
	}
	// One the plan moved on from says nothing about what it wants now.
	if a := rec.Attempt; a != nil && a.Failing && (a.Target == m.target || a.Undoes == m.target) {
		r.Failed = true
	}
	for _, t := range []*Trouble{rec.Trouble, rec.RepairTrouble} {
		if t != nil && r.Problem == nil {
			r.Problem = cloneProblem(&t.Problem)
		}
	}
	if a := rec.Attempt; a != nil && a.Back && !a.blameless() && a.Target == m.target {
		r.Failed, r.FailedBy = true, a.Why
		if r.Problem == nil {
			// What it failed by, with the last output, before that is gone with
			// the instance.
			r.Problem = cloneProblem(a.Problem)
		}
	}
	if m.pending != "" {
		r.Next = m.pending
	}
	if r.Question == nil {
		m.closeQuestion()
	}
	m.tellDrift()
	m.tellSight()
	if rec.State != r.State || rec.Reason != r.Reason || rec.Phase != r.Phase || rec.Since.IsZero() {
		rec.State, rec.Reason, rec.Phase, rec.Since = r.State, r.Reason, r.Phase, m.now
	}
	r.Since = rec.Since
	r.Specs, r.Images = m.keeps()
}

// sayMotion reports the attempt under way.
func (m *machine) sayMotion() {
	a := m.rec.Attempt
	if t := m.outage(); t != nil && !a.Back {
		m.say(Unknown, "", sentence(t.Problem)+"; nobody's release is to blame", "tries again at "+stamp(t.Next))
		return
	}
	next := m.limit
	if m.waiting() {
		next = "tries again at " + stamp(m.rec.Trouble.Next)
	}
	switch {
	case a.Back:
		m.say(Progressing, a.Reason, "goes back: "+a.Why, next)
	default:
		m.say(Progressing, "", phaseText[a.Phase]+" ("+m.moveText(a)+")", next)
	}
}

// phaseText says what a row does, for people.
var phaseText = map[Phase]string{
	Preflight: "proves that everything the new version needs is here",
	Quiesce:   "requests wait while the data change hands",
	Prepare:   "prepares the volumes of the new version",
	Launch:    "starts the new version",
	Verify:    "waits for the new version to prove itself",
	Switch:    "leads the requests to the new version",
	Bake:      "watches the new version serve",
	Drain:     "lets the open requests of the old version end",
}

// saySteady reports a tenant at rest.
func (m *machine) saySteady() {
	cur := m.rec.Current
	if m.rec.Attempt == nil && m.rec.Removal == nil && cur != nil {
		m.tellUnwell()
	}
	switch {
	case m.report.State != "":
		return
	case cur == nil:
		m.say(Waiting, "", "nothing runs yet", "")
		return
	case len(m.actions) > 0:
		m.say(Progressing, "", m.actions[0].Why, "")
		return
	case m.report.Unwell != "":
		m.say(Degraded, "", m.report.Unwell, "")
		return
	case m.report.Unseen != "":
		for _, p := range m.watched() {
			if text := m.freshText(p); text != "" {
				m.say(Degraded, "", text, "")
				return
			}
		}
	}
	if m.sayOdd() {
		return
	}
	if _, ok := m.parts(cur); !ok {
		return
	}
	next := ""
	if m.rec.Kept != nil {
		next = "the way back to " + short(m.rec.Kept.Generation) + " is kept until " + stamp(m.rec.KeptUntil)
	}
	if m.unowned() {
		m.sayUnowned()
		return
	}
	m.say(Converged, "", "runs what the plan says"+m.untuned(), next)
}

// watched are the parts that make the tenant well or not.
func (m *machine) watched() []part {
	parts, _ := m.parts(m.rec.Current)
	shared, _ := m.shared()
	watched := append(runs(parts, true), shared...)
	if m.rec.Idle != nil {
		idle, _ := m.parts(m.rec.Idle)
		watched = append(watched, runs(idle, false)...)
	}
	return watched
}

// tellUnwell reports what is wrong with what serves, or what of it is not known.
// A tenant whose State is about something else, a target that is withheld or a
// question, may be down as well. What was not well when it was seen last stays
// known until it is seen to be well.
func (m *machine) tellUnwell() {
	r, rec := &m.report, &m.rec
	if m.seen.Runtime.Blind() {
		r.Unwell, r.UnwellSince = rec.Unwell, rec.UnwellSince
		if r.Unwell == "" {
			r.Unseen = m.blindText(&blindness{"the runtime", m.seen.Runtime.Err, m.seen.Runtime.At})
		}
		return
	}
	for _, p := range m.watched() {
		text, fresh, unseen := m.unwell(p), "", m.unproved(p)
		if text == "" {
			fresh = m.freshText(p)
			unseen = cmp.Or(fresh, unseen)
		}
		if fresh != "" {
			r.Proving = m.upSince(p.key, m.instance(p))
		}
		if text == "" && unseen != "" && rec.UnwellPart == startKey(p.key) {
			text = cmp.Or(fresh, rec.Unwell)
		}
		if text == "" {
			r.Unseen = cmp.Or(r.Unseen, unseen)
			continue
		}
		r.Unwell, r.Unseen = text, ""
		if i := m.instance(p); i != nil {
			r.UnwellLog = i.Log
		}
		if rec.UnwellSince.IsZero() {
			rec.UnwellSince = m.now
		}
		if part := startKey(p.key); rec.UnwellPart != part { // its words may change with every answer
			rec.Unwell, rec.UnwellPart = text, part
		}
		r.UnwellSince = rec.UnwellSince
		return
	}
	rec.Unwell, rec.UnwellPart, rec.UnwellSince = "", "", time.Time{}
}

// unproved says of a part that runs why it is not known to be well, "" if it is
// known, or known not to be: its prober cannot look, or has not since we began.
func (m *machine) unproved(p part) string {
	i := m.instance(p)
	if i == nil || i.Phase != observed.Running {
		return ""
	}
	switch m.healthOf(p) {
	case unseen:
		return startKey(p.key) + " cannot be probed: " + sentence(*i.Health.Err)
	case unproved:
		return startKey(p.key) + " has not answered its probe often enough to be judged yet"
	}
	return ""
}

// unwell says what is wrong with a part that should run, "" if nothing is.
func (m *machine) unwell(p part) string {
	i := m.instance(p)
	switch {
	case i == nil:
		return startKey(p.key) + " is missing"
	case i.Phase != "running" && !ends(p, i):
		return startKey(p.key) + " does not run"
	case m.healthOf(p) == failing:
		return startKey(p.key) + " is not healthy: " + i.Health.Last
	}
	return ""
}

// freshText says of a part that it was started lately and is not proved since, ""
// if it was not.
func (m *machine) freshText(p part) string {
	if i := m.instance(p); i != nil && m.fresh(p, i) {
		return startKey(p.key) + " was started and has not proved itself yet"
	}
	return ""
}

// sayOdd reports what serves well and yet is not as it should be.
func (m *machine) sayOdd() bool {
	for _, p := range m.watched() {
		if !p.made(m.instance(p)) {
			m.say(Degraded, "", startKey(p.key)+" is not the one on record, and serves", "the next version replaces it")
			return true
		}
	}
	for name, exit := range plans.Sorted(m.rec.Current.Ran) {
		if exit != 0 {
			how := " ended with exit status " + itoa(exit)
			if exit == jobTimeout {
				how = " did not end in its time"
			}
			m.say(Degraded, "", "the job "+name+how+" after the switch", "the next version runs it again")
			return true
		}
	}
	return false
}

// fresh says that a part was started lately and is not proved since. One that
// has been running for longer is taken for well until its probe says otherwise:
// after a restart of ours no probe has spoken yet.
func (m *machine) fresh(p part, i *observed.Instance) bool {
	if m.healthOf(p) == healthy {
		return false
	}
	until := m.upSince(p.key, i).Add(p.svc.Health.Effective().Within.Std())
	if !m.now.Before(until) {
		return false
	}
	m.wakeAt(until)
	m.poll(pollHealth)
	return true
}

// keeps lists the digests of specs, and the images, of every version a way
// leads to.
func (m *machine) keeps() (specs, images []string) {
	add := func(list *[]string, s string) {
		if s != "" {
			*list = append(*list, s)
		}
	}
	versions := []*Version{m.rec.Current, m.rec.Kept, m.rec.Idle}
	if a := m.rec.Attempt; a != nil {
		versions = append(versions, &a.New)
		add(&specs, a.From)
		add(&specs, a.To)
		for name, d := range plans.Sorted(a.Shared) {
			add(&specs, d)
			if s, ok := m.serviceOf(name, d); ok {
				add(&images, s.Image)
			}
		}
		for _, d := range []string{a.From, a.To} {
			if s, ok := m.serviceOf(a.Aside, d); ok && d != "" {
				add(&images, s.Image)
			}
		}
	}
	if p := m.rec.Past; p != nil {
		if p.Idle != nil {
			versions = append(versions, p.Idle)
		}
		for _, set := range []map[string]string{p.Shared, p.Sidecars} {
			for name, d := range plans.Sorted(set) {
				add(&specs, d)
				if s, ok := m.serviceOf(name, d); ok {
					add(&images, s.Image)
				}
			}
		}
	}
	for _, v := range versions {
		if v == nil || v.Generation == "" {
			continue
		}
		add(&specs, v.Generation)
		for _, d := range plans.Sorted(v.Sidecars) {
			add(&specs, d)
		}
		parts, _ := m.parts(v)
		for _, p := range parts {
			add(&images, p.svc.Image)
		}
	}
	for name, d := range plans.Sorted(m.rec.Shared) {
		add(&specs, d)
		if s, ok := m.serviceOf(name, d); ok {
			add(&images, s.Image)
		}
	}
	slices.Sort(specs)
	slices.Sort(images)
	return slices.Compact(specs), slices.Compact(images)
}
