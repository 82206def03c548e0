package reconcile

import (
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// A sidecar or tenant-scoped service is upgraded on its own, by recreate, with
// its own probe and way back: stop, remove, start, verify; on failure the old
// one again. Nothing else of the tenant is touched.

// asidePart is the part of the service an attempt moves.
func (m *machine) asidePart(s plans.Service, digest string) part {
	a := m.rec.Attempt
	p := part{name: a.Aside, svc: &s, digest: digest}
	p.key = plans.Key{Tenant: m.in.Name, Slot: a.New.Slot, Service: a.Aside}
	return p
}

// asides returns what the plan wants beside the core: digests by name, of the
// sidecars and of the tenant-scoped services.
func (m *machine) asides() (sidecars, shared map[string]string) {
	for name, s := range plans.Sorted(m.want.Aside) {
		into := &sidecars
		if s.Scope == "tenant" {
			into = &shared
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[name] = m.asideDigest(name)
	}
	return sidecars, shared
}

// nextAside begins the attempt for the first service beside the core that
// differs; nil if none does.
func (m *machine) nextAside() *Attempt {
	if m.rec.Current == nil {
		return nil // the first deployment starts them with the core
	}
	sidecars, shared := m.asides()
	for _, set := range []struct {
		slot      plans.Slot
		has, want map[string]string
	}{{plans.Shared, m.rec.Shared, shared}, {m.rec.Current.Slot, m.rec.Current.Sidecars, sidecars}} {
		for name, to := range plans.Sorted(set.want) {
			if set.has[name] != to {
				return m.newAside(set.slot, name, set.has[name], to)
			}
		}
		for name, from := range plans.Sorted(set.has) {
			if _, wanted := set.want[name]; !wanted {
				return m.newAside(set.slot, name, from, "")
			}
		}
	}
	return nil
}

func (m *machine) newAside(slot plans.Slot, name, from, to string) *Attempt {
	if slot != plans.Shared && m.coreMoves() {
		return nil // a new slot starts with its own sidecars
	}
	a := m.newAttempt(KindAside, Update, m.target)
	a.Aside, a.From, a.To = name, from, to
	a.New = Version{Target: m.target, Slot: slot, Attempt: a.ID, Commit: m.env.Commit}
	return a
}

// asideVerify proves that the new one runs in the place of the old one.
func (m *machine) asideVerify() bool {
	a := m.rec.Attempt
	if a.To == "" {
		gone := true
		for _, i := range m.inSlot(a.New.Slot) {
			if i.Service == a.Aside {
				gone = false
				m.removeAlone(Verify, i.Key, "the plan has no "+a.Aside+" any more")
			}
		}
		return gone
	}
	return m.verify()
}

// replaceAside takes the old one away so that the new one can start.
func (m *machine) replaceAside(p part, i *observed.Instance) {
	a := m.rec.Attempt
	if !a.Back {
		a.Stopped = true
	}
	if i.Phase != observed.Exited {
		grace := plans.DefaultStopLimit.Std()
		if s, ok := m.serviceOf(a.Aside, i.Digest); ok && s.StopTimeout > 0 {
			grace = s.StopTimeout.Std()
		}
		m.act(Launch, "old/"+p.name, Action{Verb: Stop, Key: i.Key, Slot: i.Slot, Grace: grace,
			Limit: grace + limits[Stop], Why: "upgraded alone: its place is needed"})
	}
	m.act(Launch, "old/"+p.name, Action{Verb: Remove, Key: i.Key, Slot: i.Slot,
		Why: "upgraded alone: its place is needed"})
}

// asideBack brings the old one back.
func (m *machine) asideBack() {
	a := m.rec.Attempt
	var old part
	if a.From != "" {
		s, ok := m.serviceOf(a.Aside, a.From)
		if !ok {
			m.specLost(m.subject() + " " + short(a.From))
			return
		}
		old = m.asidePart(s, a.From)
	}
	i := m.seen.Instance(a.New.Slot, a.Aside)
	switch {
	case a.From == "" && i == nil:
	case a.From == "":
		m.removeAlone(Verify, i.Key, "the attempt is undone")
		return
	case i != nil && !old.made(i):
		m.replaceAside(old, i)
		fallthrough
	case i == nil, i.Phase == observed.Exited && !i.Restarting:
		if i != nil && old.made(i) && m.resting(old) {
			return
		}
		if err := m.start(Verify, m.rec.Current, old, a.ID, "the one that ran before has to run again"); err != nil {
			m.event(TenantUnknown, err.Error())
		}
		return
	}
	m.endAttempt()
}

func (m *machine) completeAside() {
	a := m.rec.Attempt
	set := &m.rec.Shared
	if a.New.Slot != plans.Shared {
		set = &m.rec.Current.Sidecars
	}
	if a.To == "" {
		delete(*set, a.Aside)
		m.event(TenantUpdated, m.in.Name+" has no "+a.Aside+" any more", "attempt", a.ID)
		return
	}
	m.event(TenantUpdated, m.subject()+" is "+short(a.To), "attempt", a.ID)
	if *set == nil {
		*set = map[string]string{}
	}
	(*set)[a.Aside] = a.To
}

// firstShared are the digests of the tenant-scoped services that an attempt
// for a first deployment starts with its core, by name. Later ones are upgraded
// alone.
func (m *machine) firstShared() map[string]string {
	if m.rec.Current != nil {
		return nil
	}
	_, shared := m.asides()
	for name := range plans.Sorted(m.rec.Shared) {
		delete(shared, name)
	}
	return shared
}

// sharedParts are the attempt's own tenant-scoped services, in start order. The
// attempt keeps to them though the plan may move on.
func (m *machine) sharedParts() (parts []part, ok bool) {
	a := m.rec.Attempt
	all, ok := map[string]plans.Service{}, true
	for name, digest := range plans.Sorted(a.Shared) {
		s, known := m.serviceOf(name, digest)
		if !known {
			ok = false
			continue
		}
		all[name] = s
	}
	for _, name := range plans.StartOrder(all) {
		parts = append(parts, m.sharedPart(name, all[name], a.Shared[name]))
	}
	return parts, ok
}

func (m *machine) adoptShared(p part) {
	if m.instance(p) == nil {
		return // the next attempt is for it
	}
	if m.rec.Shared == nil {
		m.rec.Shared = map[string]string{}
	}
	m.rec.Shared[p.name] = p.digest
}
