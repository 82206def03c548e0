package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// verify proves that every service that runs in the slot is healthy by its own
// instance, and then that the jobs before the switch end well.
func (m *machine) verify() bool {
	a := m.rec.Attempt
	if !m.launch() {
		m.poll(pollHealth)
		return false
	}
	parts, _ := m.attemptParts()
	all := true
	for _, p := range runs(parts, a.Kind == KindAside) {
		if m.provedNow(p) {
			continue
		}
		all = false
		if m.lost(p) {
			return false
		}
		m.poll(min(pollHealth, p.svc.Health.Effective().Interval.Std()))
	}
	if !all {
		return false
	}
	for _, p := range jobs(parts, plans.BeforeSwitch) {
		if a.Kind == KindIdle {
			continue // they come with the flip
		}
		if !m.runJob(Verify, p, parts) {
			return false
		}
	}
	return !a.Back
}

// provedNow says that the part is healthy since it runs as it does. A reused
// instance may still carry the verdict of its former life, so it has to answer
// again after it was launched.
func (m *machine) provedNow(p part) bool {
	a := m.rec.Attempt
	i := m.instance(p)
	if i != nil && i.Phase == observed.Exited && !i.Restarting && i.Exit == 0 && p.svc.Health == nil && ends(p, i) {
		return true // it has done what it is for
	}
	if m.healthOf(p) != healthy {
		return false
	}
	if p.svc.Health == nil || a == nil || i.Attempt == m.mark() || !a.Reused {
		return true
	}
	e := p.svc.Health.Effective()
	return !i.Health.At.Before(a.Since.Add(time.Duration(e.Successes-1) * e.Interval.Std()))
}

// lost fails the attempt where the part crashes in a loop or its time to prove
// itself has passed, by an observation made after it.
func (m *machine) lost(p part) bool {
	a, e := m.rec.Attempt, p.svc.Health.Effective()
	i := m.instance(p)
	if i == nil {
		return false
	}
	if n := m.startsSince(p.key, a.Since); n >= crashStarts || i.Restarts >= crashStarts {
		why := p.name + " crashes in a loop: " + plural(max(n, i.Restarts), "start", "starts")
		if i.Exit != 0 || i.Phase != observed.Running { // of one that runs again it may not be known
			why += ", last exit status " + itoa(i.Exit)
		}
		m.failInstance(p, why)
		return true
	}
	if i.Phase == observed.Exited && !i.Restarting && ends(p, i) {
		m.failInstance(p, p.name+" ended with exit status "+itoa(i.Exit)+" before it was healthy")
		return true
	}
	within := e.Within.Std()
	if left := within - a.Spent; left > 0 {
		m.wakeAt(m.now.Add(left))
	}
	look := m.seen.Runtime.At
	if p.svc.Health != nil && i.Phase == observed.Running {
		if i.Health.Err != nil || i.Health.At.IsZero() {
			// The prober is blind, or has not asked yet since a restart of ours:
			// unknown is not a failure, and stops the clock.
			m.unspend()
			m.poll(pollHealth)
			return false
		}
		// The last answer counts; where none comes, the look after a run of them.
		if h := i.Health.At; h.Before(look) {
			slack := time.Duration(e.Failures) * (e.Interval.Std() + e.Timeout.Std())
			look = look.Add(-slack)
			if look.Before(h) {
				look = h
			}
		}
	}
	if m.spentAt(look) < within {
		m.limit = "fails unless " + p.name + " is healthy within " + within.String()
		m.poll(pollHealth)
		return false
	}
	why := p.name + " was not healthy within " + within.String()
	if i.Health.Last != "" {
		why += "; its last answer: " + i.Health.Last
	}
	m.failInstance(p, why)
	return true
}
