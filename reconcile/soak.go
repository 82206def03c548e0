package reconcile

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// soak puts the two slots as they stay after a switch: the old one stopped or
// kept warm, and in the new one what runs in the routed slot only. It returns
// whether nothing had to be done.
func (m *machine) soak(cur *Version, parts []part) bool {
	if m.rec.Kept != nil && !m.rest(m.rec.Kept) {
		return false
	}
	if idle := m.rec.Idle; idle != nil {
		if idleParts, ok := m.parts(idle); ok {
			m.careFor(idle, runs(idleParts, false))
		}
	}
	if !cur.Settled {
		for _, p := range runs(parts, true) {
			if p.svc.WhenRouted() && !m.launched(p, cur) {
				return false
			}
		}
	}
	if !m.afterSwitch(cur, parts) {
		return false
	}
	cur.Settled = true
	return len(m.actions) == 0
}

// rest puts the kept slot to rest: stopped, or kept warm without what runs in
// the routed slot only.
func (m *machine) rest(kept *Version) bool {
	if m.want == nil && m.in.Want == nil {
		return true
	}
	parts, ok := m.parts(kept)
	if !ok || m.spared(kept.Slot) {
		return true
	}
	warm := m.want != nil && m.want.Soak.Keep == "running"
	for _, p := range slices.Backward(parts) {
		i := m.instance(p)
		if i == nil || p.svc.Job != nil || i.Phase == observed.Exited && !i.Restarting || warm && !p.svc.WhenRouted() {
			continue
		}
		m.stop(Soak, p, "the old slot is kept for the way back, stopped")
	}
	return len(m.actions) == 0
}

// launched starts a part that runs in the routed slot only.
func (m *machine) launched(p part, v *Version) bool {
	i := m.instance(p)
	if i != nil && p.made(i) && (i.Phase != observed.Exited || i.Restarting || m.resting(p)) {
		return true
	}
	if i != nil && !p.made(i) {
		m.removeAlone(Soak, i.Key, "it is not the one on record")
	}
	if err := m.start(Soak, v, p, v.Attempt, "it runs in the routed slot only"); err != nil {
		m.say(Degraded, "", err.Error(), "")
		return false
	}
	v.Wrote = v.Wrote || m.uncounted(v, true)
	return false
}

// afterSwitch runs the jobs that come after the switch, once per version.
func (m *machine) afterSwitch(cur *Version, parts []part) bool {
	for _, p := range jobs(parts, plans.AfterSwitch) {
		if _, ran := cur.Ran[p.name]; ran {
			continue
		}
		i := m.instance(p)
		switch {
		case i != nil && (i.Attempt != cur.Attempt || !p.made(i)):
			m.removeAlone(Soak, i.Key, "a job of another attempt is in the place of this one's")
			return false
		case i == nil:
			if err := m.start(Soak, cur, p, cur.Attempt, "the job runs once after the switch"); err != nil {
				m.say(Degraded, "", err.Error(), "")
			}
			return false
		case i.Phase != observed.Exited || i.Restarting:
			if m.seen.Runtime.At.Sub(m.upSince(p.key, i)) < jobLimit(p) {
				m.poll(pollHealth)
				return false
			}
			m.removeAlone(Soak, i.Key, "the job did not end in its time")
			m.ran(cur, p, jobTimeout, "did not end within "+jobLimit(p).String())
			return false
		}
		m.ran(cur, p, i.Exit, "ended with exit status "+itoa(i.Exit))
	}
	return true
}

// jobTimeout stands for the exit status of a job that was ended by us.
const jobTimeout = -1

// ran notes the end of a job after the switch, and tells of a bad one.
func (m *machine) ran(v *Version, p part, exit int, how string) {
	if v.Ran == nil {
		v.Ran = map[string]int{}
	}
	v.Ran[p.name] = exit
	if exit != 0 {
		m.event(TenantFailed, "the job "+p.name+" of "+m.in.Name+" "+how+" after the switch", "job", p.name, "attempt", v.Attempt)
	}
}

// due does what only the clock asks for: the end of a soak and of retentions.
func (m *machine) due() {
	if len(m.actions) > 0 || m.helpless() {
		return // what serves does not run: no way back is given up
	}
	m.forgetPast()
	if m.rec.Kept != nil {
		m.retireDue()
	}
	if len(m.actions) == 0 && !m.unowned() && m.holdData(Retire) {
		m.sweep()
	}
	if m.rec.Kept != nil && m.rec.KeptUntil.After(m.now) {
		m.wakeAt(m.rec.KeptUntil)
	}
}

// drainLimit is the longest wait for open requests.
func (m *machine) drainLimit() time.Duration {
	if m.want != nil {
		return m.want.Drain.Std()
	}
	return plans.DefaultDrain.Std()
}
