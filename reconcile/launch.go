package reconcile

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// launch proves that every service of the slot exists and was started, and that
// the jobs that come first ended well. Jobs are observed by their exit status
// and never repeated within an attempt.
func (m *machine) launch() bool {
	a := m.rec.Attempt
	parts, ok := m.attemptParts()
	if !ok {
		m.fail("the spec of "+short(a.New.Generation)+" is not known any more", nil)
		return false
	}
	first := jobs(parts, plans.BeforeStart)
	early := dependencies(parts, first)
	all := true
	for _, p := range parts {
		if early[p.name] || p.job(plans.BeforeStart) {
			if !m.launchPart(p, parts) {
				all = false
				if p.svc.Job != nil {
					return false // everything else comes after it
				}
			}
		}
	}
	if len(first) > 0 && !all {
		return false
	}
	for _, p := range runs(parts, a.Kind == KindAside) {
		if !early[p.name] && !m.launchPart(p, parts) {
			all = false
		}
	}
	return all && m.rec.Attempt != nil && !m.rec.Attempt.Back
}

// launchPart makes one part exist, and returns whether it is seen started.
func (m *machine) launchPart(p part, parts []part) bool {
	a := m.rec.Attempt
	if a.Back {
		return false
	}
	if p.svc.Job != nil {
		return m.runJob(Launch, p, parts)
	}
	i := m.instance(p)
	// What a rehearsal left mounts a copy that goes: it is never taken for ours.
	alone := a.Kind == KindAside || p.key.Slot == plans.Shared
	ours := i != nil && p.made(i) && (a.Reused || alone || i.Attempt == m.mark())
	switch {
	case i == nil:
	case !ours && a.Kind == KindAside:
		m.replaceAside(p, i)
	case !ours:
		m.remove(Launch, i.Key, "another attempt left it in the slot")
	case i.Phase != observed.Exited || i.Restarting:
		return true
	case ends(p, i), m.startsSince(p.key, a.Since) >= crashStarts:
		return true // verify says what came of it
	case m.resting(p):
		return false
	}
	if err := m.start(Launch, &a.New, p, m.mark(), "the new version starts beside what serves"); err != nil {
		m.failStart(p, err)
	}
	return false
}

// failStart ends the attempt for a part that cannot even be ordered. Where the data it
// mounts were there and are gone, a ramdisk's after a reboot say, that is no fault of
// the version.
func (m *machine) failStart(p part, err error) {
	for _, mount := range plans.Sorted(p.svc.Mounts) {
		id, own := m.rec.Attempt.New.Data[mount.Volume]
		if !own {
			id = m.rec.Data[mount.Volume].Dataset
		}
		if id != "" && m.dataset(id) == nil {
			m.lostData(mount.Volume, id)
			return
		}
	}
	m.fail(err.Error(), nil)
}

// lostData undoes the attempt because data of the new version are gone.
func (m *machine) lostData(volume, id string) {
	why := "the data of volume " + volume + " (" + id + ") are gone from under the new version"
	m.turn(outaged, why, &observed.Problem{Op: string(m.rec.Attempt.Phase), Ref: id, Class: observed.Environment, Text: why})
}

// dependencies are the services that jobs need to be there first.
func dependencies(parts []part, jobs []part) map[string]bool {
	byName := map[string]part{}
	for _, p := range parts {
		byName[p.name] = p
	}
	needed := map[string]bool{}
	var add func(p part)
	add = func(p part) {
		for _, name := range p.svc.After {
			if d, ok := byName[name]; ok && d.svc.Job == nil && !needed[name] {
				needed[name] = true
				add(d)
			}
		}
	}
	for _, j := range jobs {
		add(j)
	}
	return needed
}

// runJob runs a job of the attempt once and returns whether it ended well.
func (m *machine) runJob(step Phase, p part, parts []part) bool {
	a := m.rec.Attempt
	if a.Op == Backward || a.Reused && p.job(plans.BeforeStart) || slices.Contains(a.Jobs, p.name) {
		return true // it ran when the version was new
	}
	i := m.instance(p)
	switch {
	case i != nil && (i.Attempt != m.mark() || !p.made(i)):
		m.remove(step, i.Key, "a job of another attempt is in the place of this one's")
		fallthrough
	case i == nil:
		for _, q := range parts {
			if slices.Contains(p.svc.After, q.name) && q.svc.Job == nil && m.healthOf(q) != healthy {
				m.poll(pollHealth)
				return false
			}
		}
		if err := m.start(step, &a.New, p, m.mark(), "the job runs once for this attempt"); err != nil {
			m.failStart(p, err)
		}
	case i.Phase == observed.Exited && !i.Restarting && i.Exit == 0:
		a.Jobs = append(a.Jobs, p.name)
		return true
	case i.Phase == observed.Exited && !i.Restarting:
		m.failInstance(p, "the job "+p.name+" ended with exit status "+itoa(i.Exit))
	default:
		limit := jobLimit(p)
		ran := m.spentAt(m.seen.Runtime.At) - m.jobFrom(p.name)
		if ran >= limit {
			m.failInstance(p, "the job "+p.name+" did not end within "+limit.String())
			return false
		}
		m.wakeAt(m.now.Add(limit - ran))
		m.poll(pollHealth)
	}
	return false
}

// jobFrom is how much of the phase's clock had run when the job was first seen:
// jobs are not counted among starts, and the engine's clock is not ours.
func (m *machine) jobFrom(name string) time.Duration {
	a := m.rec.Attempt
	from, seen := a.JobFrom[name]
	if !seen {
		from = a.Spent
		if a.JobFrom == nil {
			a.JobFrom = map[string]time.Duration{}
		}
		a.JobFrom[name] = from
	}
	return from
}

func jobLimit(p part) time.Duration {
	if p.svc.Job.Timeout > 0 {
		return p.svc.Job.Timeout.Std()
	}
	return plans.DefaultJobLimit.Std()
}
