package agent

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// Preview is what a pass would do, if every action succeeded and nothing else
// moved. The first three fields are fixed for scripts.
type Preview struct {
	Commit  string         `json:"commit"`
	Changes []Change       `json:"changes"`
	Summary map[string]int `json:"summary"` // tenants by op, and "unchanged", "blocked", "actions", "later"

	// Rollouts are those that would be formed or go on, in order.
	Rollouts []PlannedRollout `json:"rollouts,omitempty"`
	// Unbatched are changes of tenants without a batch policy, in order.
	Unbatched []PlannedChange `json:"unbatched,omitempty"`
	// Held are the tenants nobody touches, by a person's word.
	Held []PassedOver `json:"held,omitempty"`
	// Ports are the host ports of what would be started.
	Ports []PortChoice `json:"ports,omitempty"`
	// Blocked are the tenants that would wait for a person at the end.
	Blocked []reconcile.Report `json:"blocked,omitempty"`
	// Takes is how long it would take by bakes, drains, probes and closed windows
	// alone.
	Takes time.Duration `json:"takes"`
	// Unseen says which parts of the host could not be seen: what is said of
	// them is a guess.
	Unseen []*observed.Problem `json:"unseen,omitempty"`
}

// Change is what would happen to one tenant, in the order it would begin.
type Change struct {
	Tenant  string    `json:"tenant"`
	Op      string    `json:"op"`
	Actions []Planned `json:"actions"`

	// Why explains the op: which fields of the plan differ from what runs, or
	// what else is to be done. Values are left out, except images: they may be
	// secret. From and To are the generations, Parts the same by service.
	Why   string                   `json:"why,omitempty"`
	From  string                   `json:"from,omitempty"`
	To    string                   `json:"to,omitempty"`
	Parts []reconcile.ServiceShift `json:"parts,omitempty"`
	// WayBack says whether what serves now could be started again without a
	// network, as it is on this host now; nil: nothing serves, or no new
	// version takes its place.
	WayBack *WayBack `json:"wayBack,omitempty"`
	// Data is what would be done with the volumes.
	Data []DataEffect `json:"data,omitempty"`
	// Kept is the slot that would be the way back afterwards, until Until.
	Kept  plans.Slot `json:"kept,omitempty"`
	Until time.Time  `json:"keptUntil,omitzero"`
	// GivesUp is the way back that is there now and would not be afterwards.
	GivesUp plans.Slot `json:"givesUp,omitempty"`
}

// Planned is one action that would be carried out.
type Planned struct {
	ID     string `json:"id"`
	Op     string `json:"op"`
	Target string `json:"target"`
	Why    string `json:"why"`
}

// PortChoice is a host port of a service.
type PortChoice struct {
	Key  plans.Key `json:"key"`
	Name string    `json:"name"`
	Port int       `json:"port"`
}

// WayBack is what the way back from a change needs, seen now.
type WayBack struct {
	Ready      bool             `json:"ready"`
	Generation string           `json:"generation"`
	Slot       plans.Slot       `json:"slot"`
	Checks     []observed.Check `json:"checks"` // spec, images, data
}

// preview gathers what was done in the rehearsal.
func (w *rehearsal) preview(ctx context.Context) Preview {
	p := Preview{Commit: w.commit, Changes: []Change{}, Summary: map[string]int{}, Takes: w.now.Sub(w.begin), Unseen: w.unseen}
	for _, name := range w.order {
		c := w.change(ctx, name)
		p.Changes = append(p.Changes, c)
		p.Summary[c.Op]++
		p.Summary["actions"] += len(c.Actions)
		for _, a := range w.actions[name] {
			if a.Instance == nil {
				continue
			}
			for _, port := range sortedKeys(a.Instance.Ports, cmp.Compare[string]) {
				p.Ports = append(p.Ports, PortChoice{a.Instance.Key, port, a.Instance.Ports[port]})
			}
		}
	}
	p.Rollouts, p.Unbatched, p.Held = w.rollouts(), w.unbatched(), w.held()
	for m := range w.engine.blocked {
		p.Blocked = append(p.Blocked, *m.report)
	}
	slices.SortFunc(p.Blocked, func(x, y reconcile.Report) int { return cmp.Compare(x.Tenant, y.Tenant) })
	p.Summary["blocked"] = len(p.Blocked)
	p.Summary["later"], p.Summary["unchanged"] = w.others(p.Rollouts)
	return p
}

// others counts the tenants that would move after what was played, and those
// that nothing is done with.
func (w *rehearsal) others(rollouts []PlannedRollout) (later, unchanged int) {
	touched := map[string]bool{}
	for _, name := range w.order {
		touched[name] = true
	}
	for _, r := range rollouts {
		for _, b := range r.Batches {
			if !b.Later {
				continue
			}
			later += len(b.Tenants)
			for _, name := range b.Tenants {
				touched[name] = true
			}
		}
	}
	for name := range w.engine.members {
		if !touched[name] {
			unchanged++
		}
	}
	return later, unchanged
}

func (w *rehearsal) change(ctx context.Context, name string) Change {
	first, ok := w.first[name]
	c := Change{Tenant: name, Op: OpWord(reconcile.Update), Why: first.Why, Actions: []Planned{}}
	if ok {
		c.Op = OpWord(first.Op)
	}
	for _, a := range w.actions[name] {
		c.Actions = append(c.Actions, Planned{ID: a.ID, Op: string(a.Verb), Target: Target(a), Why: a.Why})
	}
	w.explain(ctx, &c)
	if c.Why == "" {
		c.Why = w.actions[name][0].Why
	}
	c.Data = w.dataEffects(ctx, name, c.Op)
	before := w.before[name]
	if m := w.engine.members[name]; m != nil {
		c.Kept, c.Until = m.report.Kept, m.report.KeptUntil
	}
	if before.Kept != plans.NoSlot && !before.KeptUntil.Equal(c.Until) {
		c.GivesUp = before.Kept
	}
	return c
}

// OpWord is the word for an op in JSON.
func OpWord(o reconcile.Op) string {
	switch o {
	case reconcile.Add:
		return "add"
	case reconcile.Replace:
		return "replace"
	case reconcile.Again:
		return "recreate"
	case reconcile.Update:
		return "update"
	case reconcile.Flip:
		return "flip"
	case reconcile.Backward:
		return "back"
	case reconcile.Delete:
		return "delete"
	case reconcile.Hold:
		return "hold"
	}
	return "keep"
}

// explain says why the tenant is changed, and whether there is a way back.
func (w *rehearsal) explain(ctx context.Context, c *Change) {
	d, ok := w.diffs[c.Tenant]
	if !ok {
		return
	}
	c.From, c.To, c.Parts = d.From, d.To, d.Parts
	if text := differences(d); text != "" {
		c.Why = text
	}
	c.WayBack = w.wayBack(ctx, c.Tenant)
}

// differences lists the fields in which the plan differs from what runs, as the
// plan calls them: "services.app.image hello:1.0@… → hello:1.1@…".
func differences(d reconcile.Change) string {
	var list []string
	for _, p := range d.Parts {
		at := "services." + p.Service
		switch {
		case p.Op == reconcile.Add:
			list = append(list, at+" begins ("+p.To+")")
			continue
		case p.Op == reconcile.Delete:
			list = append(list, at+" ends")
			continue
		case p.From != p.To:
			list = append(list, at+".image "+p.From+" → "+p.To)
		}
		for _, f := range p.Fields {
			if f != "image" {
				list = append(list, at+"."+f)
			}
		}
	}
	if d.Routes {
		list = append(list, "routes")
	}
	return strings.Join(list, ", ")
}

// wayBack asks the real host for what the preflight of the change asks about
// the way back, and for the spec and the data besides.
func (w *rehearsal) wayBack(ctx context.Context, name string) *WayBack {
	var orders []reconcile.CheckOrder
	for _, a := range w.actions[name] {
		for _, o := range a.Checks {
			if strings.HasPrefix(o.ID, wayBackPrefix) {
				orders = append(orders, o)
			}
		}
	}
	cur := w.serving[name]
	if cur == nil || len(orders) == 0 {
		return nil
	}
	checks := w.real.checks(ctx, reconcile.Action{Tenant: name, Generation: cur.Generation, Checks: orders})
	b := &WayBack{Ready: true, Generation: cur.Generation, Slot: cur.Slot}
	add := func(id, text string, ok bool) {
		b.Checks = append(b.Checks, observed.Check{ID: wayBackPrefix + id, For: cur.Generation, At: w.begin, OK: ok, Text: text})
		b.Ready = b.Ready && ok
	}
	if w.specced[name] {
		add("spec", "its spec is stored", true)
	} else {
		add("spec", "the spec of "+cur.Generation+" is not stored", false)
	}
	for _, c := range checks {
		add(strings.TrimPrefix(c.ID, wayBackPrefix), c.Text, c.OK)
	}
	return b
}

// wayBackPrefix begins the ids of preflight's lines about the way back.
const wayBackPrefix = "way-back/"
