package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// volatile says that a volume's data may be gone after a reboot.
func (m *machine) volatile(name string) bool {
	if m.want != nil {
		if v, ok := m.want.Volumes[name]; ok {
			return v.Volatile
		}
	}
	return m.rec.Data[name].Volatile
}

// refill proves a new empty dataset in the place of a volatile one that a reboot
// took away. Nobody is asked: the plan says that the application fills it again.
func (m *machine) refill(cur *Version, name string) bool {
	d := m.rec.Data[name]
	if made := m.datasetOf(name, cur.Attempt, observed.Live); made != nil && made.Ready {
		cur.Data[name], d.Dataset = made.ID, made.ID
		m.rec.Data[name] = d
		return true
	}
	if m.want == nil {
		m.say(Degraded, "", "the data of volatile volume "+name+" are gone, and the plan does not name it any more", "")
		return false
	}
	if d.Emptied.IsZero() {
		d.Emptied = m.now
		m.rec.Data[name] = d
		m.event(TenantDrift, "volume "+name+" of "+m.in.Name+" is volatile and its data are gone: it begins empty", "volume", name)
	}
	v := m.want.Volumes[name]
	slot := plans.Shared
	if v.OnUpgrade == plans.Clone || v.OnUpgrade == plans.Fresh {
		slot = cur.Slot
	}
	m.act(Repair, name, Action{Verb: Create, Slot: slot, Volume: &VolumeOrder{Name: name, Slot: slot, Volume: v,
		Attempt: cur.Attempt, Generation: cur.Generation, Role: observed.Live}, Why: "a volatile volume begins empty after a reboot"})
	m.say(Degraded, "", "volume "+name+" is volatile and its data are gone; it begins empty", "")
	m.poll(pollHealth)
	return false
}

// refilling says that the application fills a volatile volume again, until its
// probes have passed on it.
func (m *machine) refilling(cur *Version, parts []part) {
	for name := range plans.Sorted(cur.Data) {
		d := m.rec.Data[name]
		switch {
		case d.Emptied.IsZero():
		case m.wellSince(parts, d.Emptied):
			m.event(TenantRepaired, m.in.Name+" is well again on volume "+name+", which had begun empty", "volume", name)
			d.Emptied = time.Time{}
			m.rec.Data[name] = d
		default:
			m.say(Degraded, "", "volume "+name+" is volatile and began empty at "+stamp(d.Emptied)+": the application fills it again",
				"converged when its probes pass")
			m.poll(pollHealth)
		}
	}
}

// wellSince says that everything that serves has answered well for a whole run of
// probes since then.
func (m *machine) wellSince(parts []part, since time.Time) bool {
	for _, p := range runs(parts, false) {
		i := m.instance(p)
		if m.healthOf(p) != healthy {
			return false
		}
		e := p.svc.Health.Effective()
		run := time.Duration(e.Successes) * e.Interval.Std()
		if p.svc.Health != nil && i.Health.At.Before(since.Add(run)) {
			return false
		}
	}
	return true
}
