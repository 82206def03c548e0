package reconcile

import (
	"slices"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// A freeze brings a service's data to rest for a snapshot taken while it runs:
// freeze, snapshot, thaw. Each of the two commands is a one-shot instance of its
// own beside the service, named by volume and attempt: after a crash it is
// observed, and not repeated. Whatever came of the snapshot, what was frozen is
// thawed before anything else is waited for.

// Frozen is a volume whose freeze was ordered and whose thaw is not done.
type Frozen struct {
	Hook plans.Hook `json:"hook"`
	// Mark is the attempt of its one-shot instances.
	Mark string `json:"mark"`
	// Run tells the run of the service that was frozen from a later one.
	Run string `json:"run,omitempty"`
	// Done says that the freeze ended well, Over that its end is decided: the
	// snapshot is there, or there will be none.
	Done bool `json:"done,omitempty"`
	Over bool `json:"over,omitempty"`
	// At is when the freeze was seen to have ended well.
	At time.Time `json:"at,omitzero"`
	// Tries counts thaws that went wrong.
	Tries int `json:"tries,omitempty"`
}

// maxThaws is how often a thaw is tried.
const maxThaws = 3

func cloneFrozen(all map[string]Frozen) map[string]Frozen {
	if all == nil {
		return nil
	}
	out := make(map[string]Frozen, len(all))
	for name, f := range plans.Sorted(all) {
		f.Hook.Command, f.Hook.Thaw = slices.Clone(f.Hook.Command), slices.Clone(f.Hook.Thaw)
		out[name] = f
	}
	return out
}

// freeze proves that the data of a snapshot's volumes are at rest, where the
// plan has a hook for it and the service runs.
func (m *machine) freeze(volumes []string) bool {
	a := m.rec.Attempt
	for _, name := range volumes {
		v := m.want.Volumes[name]
		if v.Freeze == nil || a.Frozen[name].Done {
			continue
		}
		f, ordered := a.Frozen[name]
		if !ordered {
			if !m.hookRuns(v.Freeze) {
				continue // it is stopped, and its data are at rest
			}
			f = Frozen{Hook: *v.Freeze, Run: m.hookRun(v.Freeze), Mark: m.mark() + "." + itoa(a.Freezes)}
			if a.Frozen == nil {
				a.Frozen = map[string]Frozen{}
			}
			a.Frozen[name] = f
			a.Frozen = cloneFrozen(a.Frozen)
		}
		ended, why := m.hook(plans.FreezeHook, name, f, f.Hook.Command)
		switch {
		case !ended:
			return false
		case why != "":
			m.fail("the freeze of volume "+name+" "+why, nil)
			return false
		}
		f = a.Frozen[name]
		f.Done, f.At = true, m.now
		a.Frozen[name] = f
		m.event(TenantFrozen, "volume "+name+" of "+m.in.Name+" is at rest for its snapshot", "volume", name, "attempt", a.ID)
	}
	return true
}

// thaw proves that nothing is frozen any more and no one-shot instance is left.
func (m *machine) thaw() bool {
	a := m.rec.Attempt
	if len(a.Frozen) == 0 {
		return true
	}
	for _, name := range sortedKeys(a.Frozen) {
		f := a.Frozen[name]
		if !f.Over && m.freezing(name, f) {
			// What it still does must not come after the thaw.
			m.unhook(plans.FreezeHook, f, name)
			return false
		}
		if !f.Over && len(f.Hook.Thaw) > 0 {
			ended, why := m.hook(plans.ThawHook, name, f, f.Hook.Thaw)
			if !ended {
				return false
			}
			gone := m.awoke(f)
			if why != "" && !gone && f.Tries+1 < maxThaws {
				f.Tries++
				a.Frozen[name] = f
				m.unhook(plans.ThawHook, f, name)
				return false
			}
			switch {
			case why == "":
				m.thawed(name, f)
			case !gone: // what ended was thawed by that
				m.event(TenantFailed, "volume "+name+" of "+m.in.Name+" is not thawed: the command "+why+", "+plural(maxThaws, "time", "times"),
					"volume", name, "attempt", a.ID, "hint", "look at what it said, and run it by hand in "+f.Hook.Service)
				if !a.Back {
					m.fail("the thaw of volume "+name+" "+why, nil)
				}
			}
		}
		f.Over = true
		a.Frozen[name] = f
		if !m.unhook(plans.FreezeHook, f, name) || !m.unhook(plans.ThawHook, f, name) {
			return false
		}
		delete(a.Frozen, name)
	}
	a.Freezes++
	return true
}

// stirs undoes an attempt whose data were not at rest all the time until the thaw:
// a service that ended and runs again knows nothing of the freeze. It is nobody's
// fault, and tried again.
func (m *machine) stirs() bool {
	a := m.rec.Attempt
	for name, f := range plans.Sorted(a.Frozen) {
		if !a.Back && !f.Over && m.awoke(f) {
			why := "service " + f.Hook.Service + " ended while volume " + name + " was at rest for its snapshot"
			m.turn(outaged, why, &observed.Problem{Op: "freeze", Ref: name, Class: observed.Environment, Text: why})
			return true
		}
	}
	return false
}

// awoke says that the run of a service that was frozen has ended.
func (m *machine) awoke(f Frozen) bool { return f.Run != "" && f.Run != m.hookRun(&f.Hook) }

// hookRun names the run of a freeze's service, "" if there is none.
func (m *machine) hookRun(f *plans.Hook) string {
	if !m.hookRuns(f) {
		return ""
	}
	p, _, _ := m.hookPart("", "", *f, nil)
	i := m.instance(p)
	return i.ID + " " + itoa(i.Restarts) + " " + i.Started.UTC().Format(time.RFC3339Nano)
}

// freezing says that the freeze of a volume has not ended.
func (m *machine) freezing(name string, f Frozen) bool {
	_, p, ok := m.hookPart(plans.FreezeHook, name, f.Hook, f.Hook.Command)
	i := m.instance(p)
	return ok && i != nil && (i.Phase != observed.Exited || i.Restarting)
}

// thawed tells that a volume is written again, and how long it was not.
func (m *machine) thawed(name string, f Frozen) {
	rest := ""
	if f.Done {
		rest = plans.Duration(m.now.Sub(f.At).Round(time.Millisecond)).String()
	}
	text := "volume " + name + " of " + m.in.Name + " is thawed"
	if rest != "" {
		text += ", after " + rest + " at rest"
	}
	m.event(TenantThawed, text, "volume", name, "rest", rest, "attempt", m.rec.Attempt.ID)
}

// hookPart is the one-shot instance of a command beside the service it is for.
func (m *machine) hookPart(hook, volume string, f plans.Hook, command []string) (service, oneShot part, ok bool) {
	parts, _ := m.parts(m.rec.Current)
	shared, _ := m.shared()
	for _, p := range append(parts, shared...) {
		if p.name != f.Service {
			continue
		}
		s := *p.svc
		s.Command, s.Args = command, nil
		s.Job = &plans.Job{At: hook, Timeout: f.Limit()}
		s.Health, s.Publish, s.After, s.Restart, s.Active, s.Scope, s.Sidecar = nil, nil, nil, "never", "", "", false
		q := part{name: plans.HookName(hook, volume), svc: &s, digest: s.Digest(), key: p.key}
		q.key.Service = q.name
		return p, q, true
	}
	return part{}, part{}, false
}

// hookRuns says that the service of a freeze runs.
func (m *machine) hookRuns(f *plans.Hook) bool {
	p, _, ok := m.hookPart("", "", *f, nil)
	i := m.instance(p)
	return ok && i != nil && (i.Phase != observed.Exited || i.Restarting)
}

// hook runs a command once, and returns whether it ended and what was wrong.
func (m *machine) hook(kind, volume string, f Frozen, command []string) (ended bool, why string) {
	a := m.rec.Attempt
	service, p, ok := m.hookPart(kind, volume, f.Hook, command)
	if !ok {
		return true, "has no service " + f.Hook.Service + " to run beside"
	}
	switch i := m.instance(p); {
	case i != nil && (i.Attempt != f.Mark+itoa(f.Tries) || !p.made(i)):
		m.removeAlone(Quiesce, i.Key, "a hook of another attempt is in the place of this one's")
	case i == nil:
		inst, err := m.hookOrder(service, p, f.Mark+itoa(f.Tries))
		if err != nil {
			return true, "cannot run: " + err.Error()
		}
		m.act(Quiesce, startKey(p.key), Action{Verb: Start, Key: p.key, Slot: p.key.Slot, Digest: p.digest, Instance: inst,
			Why: kind + " volume " + volume + " for its snapshot"})
	case i.Phase == observed.Exited && !i.Restarting && i.Exit == 0:
		return true, ""
	case i.Phase == observed.Exited && !i.Restarting:
		why = "ended with exit status " + itoa(i.Exit)
		if i.Log != "" {
			why += ": " + i.Log
		}
		return true, why
	default:
		limit := f.Hook.Limit().Std()
		ran := m.seen.Runtime.At.Sub(m.hookFrom(p.name + f.Mark + itoa(f.Tries)))
		if ran >= limit {
			m.removeAlone(Quiesce, i.Key, "it did not end in its time")
			return true, "did not end within " + f.Hook.Limit().String()
		}
		m.wakeAt(m.now.Add(limit - ran))
	}
	m.limit = "waits for the " + kind + " of volume " + volume + ", " + f.Hook.Limit().String() + " at most"
	if !a.Back {
		m.poll(pollHeld)
	}
	m.poll(pollHealth)
	return false, ""
}

// hookFrom is when a hook was first seen, by our own clock.
func (m *machine) hookFrom(name string) time.Time {
	a := m.rec.Attempt
	from, seen := a.HookFrom[name]
	if !seen {
		from = m.now
		if a.HookFrom == nil {
			a.HookFrom = map[string]time.Time{}
		}
		a.HookFrom[name] = from
	}
	return from
}

// hookOrder is the order for a one-shot instance: what the service's is, but for
// the command and without its ports, which are the service's.
func (m *machine) hookOrder(service, p part, attempt string) (*plans.Instance, error) {
	env := m.env
	port := env.Port
	m.env.Port = func(_ plans.Key, name string) int { return port(service.key, name) }
	inst, err := m.order(m.rec.Current, p, attempt, false)
	m.env = env
	if err != nil {
		return nil, err
	}
	inst.Beside, inst.Ports, inst.Spec.Ports = inst.Ports, nil, nil
	return inst, nil
}

// unhook proves that a one-shot instance is gone.
func (m *machine) unhook(kind string, f Frozen, volume string) bool {
	slot := plans.Shared
	if service, _, ok := m.hookPart(kind, volume, f.Hook, nil); ok {
		slot = service.key.Slot
	}
	i := m.seen.Instance(slot, plans.HookName(kind, volume))
	if i == nil {
		return true
	}
	m.removeAlone(Quiesce, i.Key, "it is done")
	return false
}
