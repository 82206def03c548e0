package reconcile

import (
	"maps"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// repair puts what is routed back to the recorded generation: the routes,
// instances that are missing, ended or not the recorded ones, and restart
// policies. It returns whether nothing had to be done.
func (m *machine) repair() bool {
	cur := m.rec.Current
	if cur == nil {
		return m.leftovers()
	}
	parts, ok := m.parts(cur)
	if !ok {
		m.say(Degraded, "", "the spec of "+short(cur.Generation)+" is not known any more, so it cannot be repaired",
			"heals with the next version")
		return true
	}
	if m.flapping(parts) {
		return true
	}
	if m.dataGone(cur) {
		return false
	}
	m.refilling(cur, parts)
	if !m.reroutes() {
		return false
	}
	m.policies()
	if shared, ok := m.shared(); ok {
		m.careFor(cur, shared)
	}
	m.careFor(cur, runs(parts, cur.Settled))
	if len(m.actions) > 0 {
		if len(m.drift) > 0 {
			m.say(Degraded, "", "what serves is being repaired: "+m.actions[0].Why, "")
		}
		return false
	}
	for _, t := range m.troubles() {
		if m.now.Before(t.Next) {
			m.sayTrouble(t)
			return false
		}
	}
	return m.soak(cur, parts) && m.leftovers()
}

// careFor starts the parts that should run and do not.
func (m *machine) careFor(v *Version, parts []part) {
	for _, p := range parts {
		i := m.instance(p)
		switch {
		case i == nil:
			m.moved("missing", startKey(p.key), startKey(p.key)+" is missing")
		case !p.made(i):
			m.moved("changed", startKey(p.key), startKey(p.key)+" is not the one on record")
			if p.core && i.Phase == observed.Running && m.healthOf(p) != failing {
				continue // it serves, or may: the next version replaces it
			}
			m.removeAlone(Repair, i.Key, "it is not the one on record and does not serve")
		case i.Phase == observed.Exited && !i.Restarting && ends(p, i):
			continue // it is done, by its own restart rule
		case i.Phase == observed.Exited && !i.Restarting:
			m.moved("stopped", startKey(p.key), startKey(p.key)+" has stopped with exit status "+itoa(i.Exit))
			if m.resting(p) {
				continue
			}
			if want, err := m.order(v, p, v.Attempt, true); err == nil && len(i.Ports) > 0 && !maps.Equal(i.Ports, want.Ports) {
				// A port that was given up, or taken by another meanwhile, cannot be had back.
				m.removeAlone(Repair, i.Key, "its ports are others now")
			}
		default:
			continue
		}
		if d := m.unready(v, p); d != nil {
			// It would fail for want of its data, and say less about it.
			m.say(Degraded, "", startKey(p.key)+" cannot be started: "+sentence(*d.Problem), "it is started when its data are there")
			m.report.Problem = cloneProblem(d.Problem)
			m.poll(pollBlind)
			continue
		}
		if err := m.start(Repair, v, p, v.Attempt, startKey(p.key)+" serves and has to run"); err != nil {
			m.say(Degraded, "", err.Error(), "")
		}
	}
}

// unready returns a dataset the part mounts that is there and cannot be used, such
// as one whose key is not loaded; nil if there is none.
func (m *machine) unready(v *Version, p part) *observed.Dataset {
	for _, mount := range plans.Sorted(p.svc.Mounts) {
		id := m.rec.Data[mount.Volume].Dataset
		if own, has := v.Data[mount.Volume]; has {
			id = own
		}
		if d := m.dataset(id); d != nil && !d.Ready && d.Problem != nil {
			return d
		}
	}
	return nil
}

// ends says that an instance may stay down by its service's restart rule.
func ends(p part, i *observed.Instance) bool {
	switch p.svc.Restart {
	case "never":
		return true
	case "onFailure":
		return i.Exit == 0
	}
	return false
}

// reroutes proves the recorded entry. An edit behind our back is set again,
// unless only the edited slot can serve.
func (m *machine) reroutes() bool {
	want := m.rec.Entry
	if want.Tenant == "" {
		if m.seen.Route.Entry.Tenant == "" {
			return true
		}
		m.moved("route", "", "the router has routes nobody asked for")
		return m.unroute(Repair, "the tenant has no routes")
	}
	if m.routeIs(want, false) {
		return true
	}
	if m.forgets() {
		return true // nobody changed them: the retirement goes on where it was held up
	}
	if v := m.rec.in(m.routed()); v != nil && v != m.rec.Current && v.Baked && !m.rehearses(v) && !m.wellSlot(m.rec.Current) && m.wellSlot(v) {
		// The table is what requests follow: the slot on record cannot serve.
		m.moved("route", "", "the routes lead to "+string(v.Slot)+", which serves; the record follows")
		m.rec.Current, m.rec.Kept = v, m.rec.Current
		m.rec.Idle = nil
		m.rec.KeptUntil = m.now
		m.rec.Entry = cloneEntry(m.seen.Route.Entry)
		m.rec.Entry.Hold = nil
		m.rec.Target = v.Target
		return true
	}
	m.moved("route", "", "the routes are not those on record")
	if m.comesUp(m.rec.Current) {
		m.poll(pollHealth)
		m.say(Degraded, "", "the routes are not those on record; they are set again when what they lead to is up", "")
		return true // it is started first
	}
	m.route(Repair, "edited", want, nil, "the routes were changed behind our back")
	m.say(Degraded, "", "the routes are not those on record and are set again", "")
	return false
}

// rehearses says that a version runs on a copy that is thrown away.
func (m *machine) rehearses(v *Version) bool {
	for _, id := range plans.Sorted(v.Data) {
		if d := m.dataset(id); d != nil && d.Role == observed.Rehearsal {
			return true
		}
	}
	return false
}

// comesUp says that a slot is not up, or was started so lately that it has not
// answered yet.
func (m *machine) comesUp(v *Version) bool {
	parts, _ := m.parts(v)
	for _, p := range runs(parts, false) {
		i := m.instance(p)
		if i == nil || i.Phase != observed.Running || m.fresh(p, i) {
			return true
		}
	}
	return false
}

// wellSlot says that everything that serves in a slot is healthy now.
func (m *machine) wellSlot(v *Version) bool {
	parts, ok := m.parts(v)
	for _, p := range runs(parts, false) {
		if m.healthOf(p) != healthy {
			return false
		}
	}
	return ok
}

// policies sees to it that exactly the routed slot's instances restart by
// themselves: a reboot without us then starts just those.
func (m *machine) policies() {
	for _, in := range m.wrongPolicies() {
		why := "what serves starts again by itself after a reboot"
		if in.Routed {
			why = "what does not serve stays down after a reboot"
		}
		m.act(Repair, startKey(in.Key), Action{Verb: SetRouted, Key: in.Key, Slot: in.Slot, Routed: !in.Routed, Why: why})
	}
}

// wrongPolicies are the instances whose restart policy is not that of their slot.
func (m *machine) wrongPolicies() []*observed.Instance {
	active := plans.NoSlot
	if m.rec.Current != nil {
		active = m.rec.Current.Slot
	}
	if m.rec.Entry.Tenant != "" && m.routed() != plans.NoSlot {
		active = m.routed()
	}
	var wrong []*observed.Instance
	for i := range m.seen.Instances {
		in := &m.seen.Instances[i]
		routed := in.Slot == active || in.Slot == plans.Shared
		if !in.Job && in.Routed != routed && !m.stoppedByUs(in.Slot) {
			wrong = append(wrong, in)
		}
	}
	return wrong
}

// stoppedByUs says that a slot's services are down by order, for a moment.
func (m *machine) stoppedByUs(slot plans.Slot) bool {
	a := m.rec.Attempt
	return a != nil && a.Stopped && !a.Switched && slot != a.New.Slot
}

// flapping gives repair up where it does not help.
func (m *machine) flapping(parts []part) bool {
	shared, _ := m.shared()
	p, flaps := m.flaps(append(runs(parts, true), shared...))
	if m.rec.Flapping.IsZero() {
		if !flaps {
			return false
		}
		m.rec.Flapping = m.now
		m.event(TenantFlapping, startKey(p.key)+" of "+m.in.Name+" was started more than "+itoa(flapStarts)+
			" times in "+flapWindow.String()+"; it is not repaired any more", "instance", p.key.String())
	}
	m.say(HeldBack, Flapping, "an instance of what serves was started more than "+itoa(flapStarts)+" times in "+
		flapWindow.String()+"; starting it again does not help", "a new target, a retry or a release of a hold clears it")
	if m.ask("flapping", m.in.Name+" starts again and again; look at its log, then say retry",
		map[string]string{"retry": "repair it again"}, m.rec.Flapping) == "retry" {
		m.calm()
		return false
	}
	return true
}

// dataGone asks where data of the current version are not seen: they are never
// replaced by an empty volume.
func (m *machine) dataGone(cur *Version) bool {
	for name, id := range plans.Sorted(cur.Data) {
		if d := m.dataset(id); d != nil {
			if d.Role == observed.Discarded {
				m.act(Prepare, id, Action{Verb: SetRole, Dataset: id, Role: observed.Live, Slot: d.Slot,
					Why: "the tenant is back within the grace of its data"})
				return true
			}
			continue
		}
		if m.volatile(name) {
			if !m.refill(cur, name) {
				return true
			}
			continue
		}
		m.say(HeldBack, Blocked, "the data of volume "+name+" ("+id+") are not there any more; nothing is started without them",
			"waits for the data, or for the answer to the question")
		answer := m.ask("data", "volume "+name+" of "+m.in.Name+" had its data in "+id+", which is not there any more",
			map[string]string{"wait": "keep looking for it", "empty": "go on with a new, empty volume"}, name, id)
		if answer == "empty" && m.emptyAgain(cur, name) {
			continue
		}
		m.poll(pollBlind)
		return true
	}
	return false
}

// emptyAgain proves a new empty dataset in the place of one that is gone, by a
// person's word.
func (m *machine) emptyAgain(cur *Version, name string) bool {
	mark := cur.Attempt + "-empty"
	if d := m.datasetOf(name, mark, observed.Live); d != nil && d.Ready {
		cur.Data[name] = d.ID
		m.keepData()
		return true
	}
	if m.want == nil {
		return false
	}
	v := m.want.Volumes[name]
	slot := plans.Shared
	if v.OnUpgrade == plans.Clone || v.OnUpgrade == plans.Fresh {
		slot = cur.Slot
	}
	m.act(Repair, name, Action{Verb: Create, Slot: slot, Volume: &VolumeOrder{Name: name, Slot: slot, Volume: v,
		Attempt: mark, Generation: cur.Generation, Role: observed.Live}, Why: "a person said to go on with an empty volume"})
	return false
}

// leftovers removes what is ours and belongs to nothing on record, once no
// request is open on it or the time the plan gives those is over.
func (m *machine) leftovers() bool {
	open, stray := false, false
	for i := range m.seen.Instances {
		in := &m.seen.Instances[i]
		if m.belongs(in) {
			continue
		}
		stray = true
		m.moved("extra", startKey(in.Key), startKey(in.Key)+" belongs to no version on record")
		if in.Phase != observed.Exited && m.seen.Route.Slots[in.Slot].InFlight > 0 {
			open = true
			m.drainStray(in.Slot)
			continue
		}
		m.removeAlone(Repair, in.Key, "it belongs to no version on record")
	}
	if !stray {
		m.rec.Strays = time.Time{}
	}
	return len(m.actions) == 0 && !open
}

// drainStray waits for the requests of a slot that nothing is on record for.
func (m *machine) drainStray(slot plans.Slot) {
	if m.rec.Strays.IsZero() {
		m.rec.Strays = m.now
	}
	if m.seen.Router.At.Sub(m.rec.Strays) >= m.drainLimit() {
		m.act(Repair, string(slot), Action{Verb: Cut, Slot: slot, Why: "the longest wait for open requests is over"})
		return
	}
	m.say(Progressing, "", "waits for the open requests of what is left in "+string(slot), "")
	m.wakeAt(m.rec.Strays.Add(m.drainLimit()))
	m.poll(pollDrain)
}

// belongs says that an instance is part of something on record.
func (m *machine) belongs(in *observed.Instance) bool {
	if m.env.Empty || m.env.OtherController != "" || m.rec.Removal != nil {
		return true // nothing is removed by one who does not know
	}
	if in.Slot == plans.Shared {
		_, ok := m.rec.Shared[in.Service]
		return ok
	}
	v := m.rec.in(in.Slot)
	if v == nil {
		return m.rec.Entry.Tenant != "" && m.routed() == in.Slot || m.rec.Current == nil && m.routed() != plans.NoSlot
	}
	if _, ok := v.Sidecars[in.Service]; ok {
		return true
	}
	core, ok := m.coreOf(v.Generation)
	if !ok {
		return true
	}
	_, ok = core.Services[in.Service]
	return ok
}
