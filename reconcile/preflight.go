package reconcile

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// preflight proves that nothing that can be known beforehand stands in the way:
// images here and verified, ports free, host files readable, the runtime able
// to honour every field, and the way back still on the host. Going back asks
// for no network: its images must be present, not pulled.
func (m *machine) preflight() bool {
	a := m.rec.Attempt
	parts, ok := m.attemptParts()
	if !ok {
		m.fail("the spec of "+short(a.New.Generation)+" is not known any more", nil)
		return false
	}
	checks := m.checks(parts)
	if len(checks) == 0 {
		return true
	}
	id := a.New.Generation
	if a.Kind == KindAside {
		id = a.To
	}
	missing, bad := m.unchecked(checks, id)
	if bad != nil {
		return m.checkFailed(bad)
	}
	if !missing {
		return true
	}
	if m.waiting() {
		m.wakeAt(m.rec.Trouble.Next)
		return false
	}
	if a.Op != Backward {
		for _, image := range imagesOf(parts) {
			m.act(Preflight, image, Action{Verb: Pull, Image: image, Generation: a.New.Generation,
				Why: "the new version needs its image on this host before anything moves"})
		}
	}
	order := Action{Verb: Check, Generation: a.New.Generation, Checks: checks,
		Why: "prove beforehand what can be known beforehand"}
	if a.Kind == KindAside {
		order.Generation, order.Digest = "", a.To
	}
	if m.act(Preflight, short(id), order) {
		a.Checked = m.now
	}
	return false
}

// attemptParts are the parts an attempt is about to start.
func (m *machine) attemptParts() ([]part, bool) {
	a := m.rec.Attempt
	if a.Kind == KindAside {
		if a.To == "" {
			return nil, true
		}
		s, ok := m.serviceOf(a.Aside, a.To)
		return []part{m.asidePart(s, a.To)}, ok
	}
	parts, ok := m.parts(&a.New)
	first, known := m.sharedParts()
	return append(first, parts...), ok && known
}

// checks are the lines of the preflight table for parts.
func (m *machine) checks(parts []part) []CheckOrder {
	a := m.rec.Attempt
	var orders []CheckOrder
	for _, p := range parts {
		kind := "image"
		if a.Op == Backward {
			kind = "present"
		}
		orders = append(orders, CheckOrder{ID: "image/" + p.name, Kind: kind, Image: p.svc.Image, Key: p.key})
		orders = append(orders, CheckOrder{ID: "traits/" + p.name, Kind: "traits", Key: p.key, Service: p.svc})
		if !a.Reused {
			for name := range plans.Sorted(p.svc.Ports) {
				orders = append(orders, CheckOrder{ID: "port/" + p.name + "/" + name, Kind: "port",
					Port: m.env.Port(p.key, name), Key: p.key})
			}
		}
		for _, f := range p.svc.EnvFrom {
			orders = append(orders, CheckOrder{ID: "file/" + p.name + f.File, Kind: "hostFile", File: f.File, Key: p.key})
		}
	}
	if a.hasSlot() && m.want != nil {
		copied := 0
		var rooms []Room
		for name, v := range plans.Sorted(m.want.Volumes) {
			if v.OnUpgrade == plans.Clone || v.OnUpgrade == plans.Snapshot {
				copied++
			}
			orders = append(orders, CheckOrder{ID: "volume/" + name, Kind: "volume", Volume: name, Spec: &v})
			rooms = append(rooms, Room{Volume: name, Spec: v, Copies: m.copies(name, v)})
		}
		if len(rooms) > 0 && !a.Reused {
			orders = append(orders, CheckOrder{ID: "space", Kind: "space", Rooms: rooms, Above: m.scarce()})
		}
		if copied > 1 && a.Op != Backward {
			orders = append(orders, CheckOrder{ID: "volumes", Kind: "volumes"}) // those above, as one
		}
	}
	return append(orders, m.wayBackChecks()...)
}

// copies are the datasets that an attempt makes a copy of, once each time: what a
// driver without cheap copies needs room for.
func (m *machine) copies(name string, v plans.Volume) []string {
	a := m.rec.Attempt
	d, had := m.rec.Data[name]
	switch {
	case a.Restore[name] != "":
		if snap := m.restoreOf(name); snap != nil {
			return []string{snap.ID}
		}
		return nil
	case !had:
		return nil
	case v.OnUpgrade == plans.Clone && m.rehearse():
		return []string{d.Dataset, d.Dataset, d.Dataset, d.Dataset} // snapshot and clone, twice
	case v.OnUpgrade == plans.Clone:
		return []string{d.Dataset, d.Dataset}
	case v.OnUpgrade == plans.Snapshot:
		return []string{d.Dataset}
	}
	return nil
}

// wayBackChecks prove that what runs could be started again without a network.
func (m *machine) wayBackChecks() []CheckOrder {
	a := m.rec.Attempt
	var back []part
	switch {
	case a.Kind == KindAside && a.From != "":
		if s, ok := m.serviceOf(a.Aside, a.From); ok {
			back = []part{m.asidePart(s, a.From)}
		}
	case a.Kind == KindCore && m.rec.Current != nil:
		back, _ = m.parts(m.rec.Current)
	}
	var orders []CheckOrder
	for _, p := range back {
		orders = append(orders, CheckOrder{ID: "way-back/" + p.name, Kind: "present", Image: p.svc.Image, Key: p.key})
	}
	if a.hasSlot() && m.rec.Current != nil {
		for name, id := range plans.Sorted(m.rec.Current.Data) {
			orders = append(orders, CheckOrder{ID: "way-back/data/" + name, Kind: "data", Volume: name, Dataset: id, Driver: m.rec.Data[name].Driver})
		}
	}
	return orders
}

// unchecked says whether a line of the table is missing, and which line is not
// OK. Lines from before the table was last ordered do not count.
func (m *machine) unchecked(orders []CheckOrder, id string) (missing bool, bad *observed.Check) {
	a := m.rec.Attempt
	if a.Checked.IsZero() {
		return true, nil
	}
	for _, o := range orders {
		c := m.check(o.ID, id)
		switch {
		case c == nil || c.At.Before(a.Checked):
			missing = true
		case !c.OK && bad == nil:
			bad = c
		}
	}
	return missing, bad
}

func (m *machine) check(id, of string) *observed.Check {
	for i := range m.seen.Preflight {
		if c := &m.seen.Preflight[i]; c.ID == id && c.For == of {
			return c
		}
	}
	return nil
}

// checkFailed deals with a line that is not OK by its class.
func (m *machine) checkFailed(c *observed.Check) bool {
	a := m.rec.Attempt
	p := cloneProblem(c.Problem)
	if p == nil {
		p = &observed.Problem{Op: "check", Ref: c.ID, Class: observed.Refused, Text: c.Text}
	}
	if p.Class == observed.Refused {
		m.fail("preflight "+c.ID+": "+sentence(*p), p)
		return false
	}
	t := m.rec.Trouble
	// Try the whole table again after a pause; older lines no longer count.
	if t == nil {
		t = &Trouble{Since: m.now}
		m.rec.Trouble = t
	}
	if !c.At.Before(a.Checked) {
		t.Action, t.Problem = m.prefix()+"preflight/check/"+c.ID, *p
		t.Tries++
		t.Next = m.now.Add(max(pause(p.Class, t.Tries), time.Second))
		a.Checked = m.now.Add(time.Nanosecond)
	}
	if why := t.hopeless(); why != "" {
		m.fail("preflight "+c.ID+": "+why, p)
		return false
	}
	m.wakeAt(t.Next)
	return false
}

func imagesOf(parts []part) []string {
	var images []string
	seen := map[string]bool{}
	for _, p := range parts {
		if p.svc.Image != "" && !seen[p.svc.Image] {
			seen[p.svc.Image] = true
			images = append(images, p.svc.Image)
		}
	}
	return images
}
