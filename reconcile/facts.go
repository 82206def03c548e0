package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// blindness says which part of the world cannot be seen, and why.
type blindness struct {
	part string
	err  *observed.Problem
	at   time.Time // of the last look that saw it
}

// blind returns the first part this tenant needs that cannot be seen.
func (m *machine) blind() *blindness {
	switch {
	case m.seen.Runtime.Blind():
		return &blindness{"the runtime", m.seen.Runtime.Err, m.seen.Runtime.At}
	case m.needsRouter() && m.seen.Router.Blind():
		return &blindness{"the router", m.seen.Router.Err, m.seen.Router.At}
	case m.needsStorage() && m.seen.Storage.Blind():
		return &blindness{"the storage", m.seen.Storage.Err, m.seen.Storage.At}
	}
	return nil
}

func (m *machine) needsRouter() bool {
	return m.rec.Entry.Tenant != "" || m.want != nil && len(m.want.Routes) > 0 ||
		m.leaves() && (m.rec.Removal == nil || m.rec.Removal.Gone.IsZero())
}

func (m *machine) needsStorage() bool {
	return len(m.rec.Data) > 0 || m.want != nil && len(m.want.Volumes) > 0 || m.leaves()
}

// leaves says that the tenant is taken away and may have left what is not on
// record: by a first deployment that is given up.
func (m *machine) leaves() bool {
	return m.rec.Removal != nil || m.in.Want != nil && m.in.Want.Removed && m.rec.Attempt != nil
}

// routed is the slot the route table leads requests to.
func (m *machine) routed() plans.Slot { return m.seen.Route.Entry.Slot }

// held says that requests wait on the router by the attempt's own hold.
func (m *machine) held() bool {
	a := m.rec.Attempt
	r := m.seen.Route
	return a != nil && a.Hold != nil && r.Held && r.Entry.Hold != nil && r.Entry.Hold.ID == a.Hold.ID
}

// health judges one instance of a part by the probe it has. A service without a
// probe is healthy when it has been running for as long as a probe would take.
type health int

const (
	unproved health = iota
	healthy
	failing
	unseen // the prober could not look
)

// healthOf judges the part by its own instance.
func (m *machine) healthOf(p part) health {
	i := m.instance(p)
	switch {
	case i == nil || i.Phase != observed.Running || i.Restarting:
		return unproved
	case p.svc.Health == nil:
		if i.Health.Verdict == observed.Failing {
			return failing
		}
		e := p.svc.Health.Effective()
		ran := m.seen.Runtime.At.Sub(m.upSince(p.key, i))
		if i.Health.Verdict == observed.Healthy || ran >= time.Duration(e.Successes)*e.Interval.Std() {
			return healthy
		}
		return unproved
	case i.Health.Err != nil:
		return unseen
	case i.Health.Verdict == observed.Healthy:
		return healthy
	case i.Health.Verdict == observed.Failing:
		return failing
	}
	return unproved
}

// upSince is when the instance was first seen as it now runs, by our own clock.
func (m *machine) upSince(k plans.Key, i *observed.Instance) time.Time {
	s := m.starts(k)
	if s.ID == i.ID && !s.Last.IsZero() {
		return s.Last
	}
	return m.now
}

func (m *machine) instance(p part) *observed.Instance {
	return m.seen.Instance(p.key.Slot, p.name)
}

// made says that the instance is what the part asks for.
func (p part) made(i *observed.Instance) bool {
	return i.Digest == p.digest && (!p.core || i.Generation == p.generation)
}

// dataset finds a dataset of ours by its id; nil if it is not seen.
func (m *machine) dataset(id string) *observed.Dataset {
	for i := range m.seen.Datasets {
		if m.seen.Datasets[i].ID == id {
			return &m.seen.Datasets[i]
		}
	}
	return nil
}

// datasetOf finds the dataset of an attempt for a volume in a role.
func (m *machine) datasetOf(volume, attempt string, role observed.Role) *observed.Dataset {
	for i := range m.seen.Datasets {
		d := &m.seen.Datasets[i]
		if d.Volume == volume && d.Attempt == attempt && d.Role == role {
			return d
		}
	}
	return nil
}

// inSlot lists the instances seen in a slot.
func (m *machine) inSlot(slot plans.Slot) []*observed.Instance {
	var in []*observed.Instance
	for i := range m.seen.Instances {
		if m.seen.Instances[i].Slot == slot {
			in = append(in, &m.seen.Instances[i])
		}
	}
	return in
}
