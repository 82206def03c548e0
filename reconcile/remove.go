package reconcile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// removes says that a person wants the tenant gone: by a tombstone in the plan,
// or by the answer to the question about a tenant that vanished from it.
func (m *machine) removes() bool {
	if m.env.Empty || m.env.OtherController != "" {
		return false
	}
	if m.pending != "" && m.rec.Removal == nil && m.rec.Attempt != nil {
		return false // a person's hold wins: first to its safe state
	}
	if m.in.Want != nil {
		if !m.in.Want.Removed && m.rec.Removal != nil {
			m.comeBack()
		}
		return m.in.Want.Removed && !m.overBudget()
	}
	if m.rec.Removal != nil {
		return true
	}
	return m.rec.Attempt == nil && m.rec.Current != nil && m.vanishedAnswer() == "remove"
}

// vanishedAnswer asks about a tenant the plan dropped without a tombstone.
func (m *machine) vanishedAnswer() string {
	generation := ""
	if m.rec.Current != nil {
		generation = m.rec.Current.Generation
	}
	text := " is not in the plan any more and has no tombstone (removed: true)"
	if m.in.Elsewhere != "" {
		text = " is on " + m.env.Node + ", and the plan puts it on node " + m.in.Elsewhere
	}
	return m.ask("vanished", m.in.Name+text,
		map[string]string{"keep": "leave it running as it is", "remove": "stop and remove it, keep its data for the grace"}, generation)
}

// vanished keeps a tenant the plan dropped running as it is.
func (m *machine) vanished() {
	if m.rec.Current == nil {
		return
	}
	m.vanishedAnswer()
	if m.in.Elsewhere != "" {
		m.say(HeldBack, Blocked, "the plan puts it on node "+m.in.Elsewhere+" and it is on "+m.env.Node+"; a tenant is not moved with its data yet",
			"put the node back to "+m.env.Node+", or answer the question")
		return
	}
	m.say(HeldBack, Vanished, "it is not in the plan any more and has no tombstone; it keeps running as it is",
		"put it back, write removed: true, or answer the question")
}

// removing takes a tenant away: no routes, nothing runs, a final snapshot, and
// after the grace the data.
func (m *machine) removing() {
	r := m.rec.Removal
	if r == nil && m.vacant() {
		m.say(StateRemoving, "", "nothing of it is left", "its tombstone can be taken out of the plan")
		return
	}
	if r == nil {
		r = &Removal{Since: m.now}
		m.rec.Removal = r
		if a := m.rec.Attempt; a != nil {
			m.event(TenantFailed, "what was under way for "+m.in.Name+" is given up: it is removed", "attempt", a.ID)
			m.follow()
		}
		m.rec.Attempt, m.rec.Trouble, m.rec.RepairTrouble = nil, nil, nil
		m.event(TenantRemoving, m.in.Name+" is being removed")
	}
	if m.sayWait() {
		m.say(StateRemoving, "", "it is being removed; "+sentence(m.rec.Trouble.Problem), m.report.Next)
		return
	}
	if !m.unroute(Removing, "the tenant is removed") {
		return
	}
	m.rec.Entry = plans.Entry{}
	if !m.stopAll() || !m.lastSnapshot() || !m.removeAll() || !m.giveUpData() {
		return
	}
	if r.Gone.IsZero() {
		r.Gone = m.now
		m.rec.Current, m.rec.Kept, m.rec.Idle, m.rec.Shared = nil, nil, nil, nil
		m.event(TenantRemoved, "nothing of "+m.in.Name+" runs any more")
	}
	if len(m.seen.Datasets)+len(m.doomed) > 0 {
		m.graceOfData()
		return
	}
	m.forget("the tenant is gone")
}

// follow has the record say what the routes lead to, where the switch that is given up
// with its attempt has been made and not noted yet: who takes the tombstone back means
// that version, and what was written to it is nowhere else.
func (m *machine) follow() {
	a, kept := m.rec.Attempt, m.rec.Kept
	switch {
	case a.Kind != KindCore || m.rec.Current == nil:
		return // nothing served before: it begins anew
	case a.Ordered && !a.Swapped && !a.Back && m.routed() == a.New.Slot:
		m.swap()
	case a.Back && a.Swapped && kept != nil && m.routed() == kept.Slot:
		m.rec.Current, m.rec.Kept = kept, m.rec.Current
		m.rec.Entry, kept.Since = cloneEntry(kept.Entry), m.now
		m.keepData()
	case !a.Swapped:
		return
	}
	m.rec.KeptUntil = m.now.Add(m.in.Want.Soak.For.Std())
}

// vacant says that neither the host nor our memory has anything of the tenant.
func (m *machine) vacant() bool {
	s, r := m.seen, &m.rec
	return len(s.Instances) == 0 && len(s.Datasets)+len(m.doomed) == 0 && s.Route.Entry.Tenant == "" &&
		r.Current == nil && r.Attempt == nil && r.Entry.Tenant == "" && len(r.Data) == 0
}

func (m *machine) stopAll() bool {
	all := true
	for _, i := range slices.Backward(m.seen.Instances) {
		if i.Phase == observed.Exited && !i.Restarting {
			continue
		}
		all = false
		grace := plans.DefaultStopLimit.Std()
		if s, ok := m.specOf(&i); ok && s.StopTimeout > 0 {
			grace = s.StopTimeout.Std()
		}
		m.act(Removing, startKey(i.Key), Action{Verb: Stop, Key: i.Key, Slot: i.Slot, Grace: grace,
			Limit: grace + limits[Stop], Why: "the tenant is removed"})
	}
	return all
}

// specOf finds the service an instance was made from.
func (m *machine) specOf(i *observed.Instance) (plans.Service, bool) {
	if core, ok := m.coreOf(i.Generation); ok {
		s, ok := core.Services[i.Service]
		return s, ok
	}
	return m.serviceOf(i.Service, i.Digest)
}

// lastSnapshot proves a snapshot of each live dataset after everything stopped.
// Nothing writes any more, so that each is taken by itself: they may be in several
// pools, or kept by several drivers. Where it would be a copy of all the data there is
// none: they stay for the grace as they are, and a full disk is why tenants are removed.
func (m *machine) lastSnapshot() bool {
	if m.rec.Removal.Snapped {
		return true
	}
	act := removalMark + digest(8, m.rec.Removal.Since.UTC().Format(time.RFC3339Nano))
	all := true
	for i := range m.seen.Datasets {
		d, mark := &m.seen.Datasets[i], act
		if cur := m.rec.Current; cur != nil && !m.sharesData(cur, d.ID) {
			mark += "-" + d.Attempt // who goes back to what served does not mean these
		}
		if d.Role != observed.Live || m.rec.Data[d.Volume].Volatile || !d.Ready && d.Problem == nil || !m.env.CheapClone(d.Driver) || m.snapped(d, mark) {
			continue // what is volatile or half made is nobody's last state
		}
		all = false
		m.act(Removing, mark+"/"+d.ID, Action{Verb: Snapshot, Datasets: []string{d.ID},
			Volume: &VolumeOrder{Attempt: mark, Role: observed.Origin, Volume: plans.Volume{Driver: d.Driver}}, Why: "the last state of the data"})
	}
	m.rec.Removal.Snapped = all
	return all
}

// snapped says that a dataset has its own snapshot of that mark.
func (m *machine) snapped(of *observed.Dataset, mark string) bool {
	return slices.ContainsFunc(m.seen.Datasets, func(d observed.Dataset) bool {
		return d.Role == observed.Origin && d.Attempt == mark && d.Origin == of.ID && d.Ready
	})
}

func (m *machine) removeAll() bool {
	for i := range m.seen.Instances {
		k := m.seen.Instances[i].Key
		m.act(Removing, startKey(k), Action{Verb: Remove, Key: k, Slot: k.Slot, Why: "the tenant is removed"})
	}
	return len(m.seen.Instances) == 0
}

// giveUpData marks the live data as given up; they stay for the grace.
func (m *machine) giveUpData() bool {
	all := true
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if d.Role != observed.Live {
			continue
		}
		all = false
		m.act(Removing, d.ID, Action{Verb: SetRole, Dataset: d.ID, Role: observed.Discarded, Slot: d.Slot,
			Why: "the tenant is removed; its data stay for the grace"})
		m.discardNow(d.ID) // it keeps its date where the tenant comes back
	}
	return all
}

// graceOfData keeps what is left, each for its time, then destroys it: what is cloned
// before its origin. With a count instead of an age all of it stays for good.
func (m *machine) graceOfData() {
	m.endDoomed(Removing)
	rule := m.retention().Final
	if rule.Count > 0 {
		m.say(StateRemoving, "", "nothing runs any more; its data are kept", "retention.final.count keeps them until it is 0")
		return
	}
	text := ""
	var first, last time.Time // of what is kept by age
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if due := m.graceEnds(d); m.now.Before(due) {
			if first.IsZero() || due.Before(first) {
				first = due
			}
			if due.After(last) {
				last = due
			}
			m.wakeAt(due)
			continue
		}
		if m.letGo(Removing, d) {
			continue
		}
		why := m.neededBy(d)
		if why == "" && m.destroy(Removing, d, "the grace of a removed tenant is over") {
			continue
		}
		if text == "" {
			text = d.ID + " stays: " + cmp.Or(why, m.rec.Stuck[d.ID].Problem.Text)
		}
	}
	if text == "" && first.IsZero() && len(m.doomed) > 0 {
		id := m.doomed[0].ID
		text = id + " stays: " + m.rec.Stuck[id].Problem.Text
	}
	switch {
	case len(m.actions) > 0:
	case text != "":
		m.say(StateRemoving, "", "nothing runs any more; "+text, "it is tried again by itself")
		m.poll(pollGone)
	case first.Equal(last):
		m.say(StateRemoving, "", "nothing runs any more; its data are kept for the grace", "the data are destroyed at "+stamp(last))
	default:
		m.say(StateRemoving, "", "nothing runs any more; its data are kept for the grace, each for the longest that retention says",
			"the data are destroyed from "+stamp(first)+" to "+stamp(last))
	}
}

// graces says that nothing of a removed tenant runs any more, and only its data are
// kept for the grace.
func (m *machine) graces() bool { return m.rec.Removal != nil && !m.rec.Removal.Gone.IsZero() }

// graceEnds is when a dataset of a removed tenant may be destroyed: by the rule for
// what is left of it or by that of its own kind, the later of both, and with what was
// taken of it or made from it. What came to sight later has the whole grace. Only ages count: a removal comes to an end.
func (m *machine) graceEnds(d *observed.Dataset) time.Time {
	r, gone := m.retention(), m.rec.Removal
	due := gone.Gone.Add(r.Final.For.Std())
	own := time.Time{}
	switch given, was := m.rec.Discards[d.ID]; {
	case d.Role == observed.Origin && !d.Created.IsZero() && strings.HasPrefix(d.Attempt, removalMark):
		own = d.Created.Add(r.Final.For.Std()) // of this removal or of one before
	case d.Role == observed.Origin && !d.Created.IsZero():
		own = d.Created.Add(r.PreUpgrade.For.Std())
	case was && given.Before(gone.Since):
		own = given.Add(r.Discarded.For.Std())
	case was && given.After(gone.Gone):
		own = given.Add(r.Final.For.Std())
	}
	if own.After(due) {
		due = own
	}
	for i := range m.seen.Datasets {
		if o := &m.seen.Datasets[i]; o.Origin == d.ID && o.ID != d.ID {
			if with := m.graceEnds(o); with.After(due) {
				due = with
			}
		}
	}
	return due
}

// pollGone is how often it is looked whether what keeps data is gone.
const pollGone = time.Minute

// comeBack undoes a removal whose tombstone was taken back: what runs goes on,
// and data that were given up are taken over again by the next attempt.
func (m *machine) comeBack() {
	m.rec.Removal = nil
	m.rec.Attempts = max(m.rec.Attempts, 1) // the journal is not new: what is left is left over
	if cur := m.rec.Current; cur != nil {
		m.rec.Entry = cloneEntry(cur.Entry)
	}
	m.event(TenantReleased, m.in.Name+" is not removed after all")
}
