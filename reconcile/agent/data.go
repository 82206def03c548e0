package agent

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// measureLimit bounds the figures a person waits for.
const measureLimit = 20 * time.Second

// Lineage is all data of one tenant.
type Lineage struct {
	Tenant string    `json:"tenant"`
	At     time.Time `json:"at"` // of the look
	// Retention is what the plan says of what nothing uses any more.
	Retention plans.Retention `json:"retention"`
	// Data are the trees of datasets, snapshots and clones.
	Data []reconcile.DataNode `json:"data"`
	// Unseen is why the data could not be looked at: they are as last seen.
	Unseen *observed.Problem `json:"unseen,omitempty"`
}

// input is what a step would know of m, for questions about it.
func (e *Engine) input(m *member, now time.Time) reconcile.Input {
	return reconcile.Input{Name: m.name, Want: m.want, Facts: &m.facts, Now: now, Env: &e.env}
}

// Data draws the data of a tenant as they were last seen, with the figures a look
// does not bring: sizes, and what was written since each clone was made.
func (a *Agent) Data(ctx context.Context, tenant string) (Lineage, error) {
	a.mu.Lock()
	m := a.engine.members[tenant]
	if m == nil {
		a.mu.Unlock()
		return Lineage{}, refused(fmt.Sprintf("no tenant %q", tenant), "reconcile status lists the tenants")
	}
	l := Lineage{Tenant: tenant, At: m.facts.Storage.At, Unseen: m.facts.Storage.Err,
		Retention: m.rec.Retention.Effective(), Data: reconcile.Lineage(a.engine.input(m, a.now()), m.rec)}
	a.mu.Unlock()
	if l.Data == nil {
		l.Data = []reconcile.DataNode{}
	}
	ctx, cancel := context.WithTimeout(ctx, measureLimit)
	defer cancel()
	if l.Unseen == nil {
		a.figures(ctx, l.Data, "")
	}
	return l, nil
}

// figures asks the storages for what a look leaves open. What cannot be told in
// time stays open.
func (a *Agent) figures(ctx context.Context, nodes []reconcile.DataNode, origin string) {
	for i := range nodes {
		n := &nodes[i]
		st, err := a.storage(plans.Volume{Driver: n.Driver}, n.ID)
		if err != nil || !n.Ready {
			continue
		}
		if n.Bytes < 0 {
			if bytes, err := st.Written(ctx, n.ID, ""); err == nil {
				n.Bytes = bytes
			}
		}
		if n.Role != observed.Origin && origin != "" {
			if bytes, err := st.Written(ctx, n.ID, origin); err == nil {
				n.Left, n.AtMost = bytes, st.Traits().AtMost
			}
		}
		a.figures(ctx, n.Children, n.ID)
	}
}

// Cost is what going back to a snapshot leaves behind of one volume.
type Cost struct {
	Volume   string    `json:"volume"`
	Snapshot string    `json:"snapshot"`
	Taken    time.Time `json:"taken"`
	Dataset  string    `json:"dataset"` // that serves now
	Bytes    int64     `json:"bytes"`   // written since, -1: not known
	// AtMost says that Bytes is a bound: its storage counts changed files whole.
	AtMost bool `json:"atMost,omitempty"`
}

// RestoreCost says what the data of a tenant would lose by going back to a
// snapshot: that volume, and all whose snapshots were taken in the same act. It
// refuses where they cannot go back.
func (a *Agent) RestoreCost(ctx context.Context, tenant, snapshot string) ([]Cost, error) {
	a.mu.Lock()
	m := a.engine.members[tenant]
	if m == nil {
		a.mu.Unlock()
		return nil, refused(fmt.Sprintf("no tenant %q", tenant), "reconcile status lists the tenants")
	}
	if why := reconcile.NoRestore(a.engine.input(m, a.now()), m.rec, snapshot); why != "" {
		a.mu.Unlock()
		return nil, observed.Wrap("restore data", snapshot, observed.Refused, fmt.Errorf("the data of %s cannot go back to it: %s", tenant, why),
			"reconcile data "+tenant+" lists the snapshots there are")
	}
	var costs []Cost
	mark := ""
	for _, d := range m.facts.Datasets {
		if d.ID == snapshot {
			mark = d.Attempt
		}
	}
	for _, d := range m.facts.Datasets {
		now, had := m.rec.Data[d.Volume]
		if d.Role == observed.Origin && d.Attempt == mark && had {
			costs = append(costs, Cost{Volume: d.Volume, Snapshot: d.ID, Taken: d.Created, Dataset: now.Dataset, Bytes: -1})
		}
	}
	a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, measureLimit)
	defer cancel()
	for i := range costs {
		c := &costs[i]
		st, err := a.storage(plans.Volume{}, c.Dataset)
		if err != nil {
			continue
		}
		if bytes, err := st.Written(ctx, c.Dataset, c.Snapshot); err == nil {
			c.Bytes, c.AtMost = bytes, st.Traits().AtMost
		}
	}
	return costs, nil
}

// weigh brings the figures of what the way back would leave behind up to date,
// where writes were answered since. What cannot be told in time stays as it was.
func (a *Agent) weigh(e *Explanation) {
	cur, kept := e.Record.Current, e.Record.Kept
	if cur == nil || kept == nil || e.Facts.Storage.Blind() || !cur.Wrote && e.Facts.Route.Slots[cur.Slot].Writes == 0 {
		return
	}
	// A tenant at rest is not stepped for a write: the record has not heard of it.
	now := *cur
	now.Wrote = true
	e.Record.Current = &now
	ctx, cancel := context.WithTimeout(context.Background(), measureLimit)
	defer cancel()
	e.Record.Measured = maps.Clone(e.Record.Measured)
	for _, d := range e.Facts.Datasets {
		id := cur.Data[d.Volume]
		if d.Role != observed.Origin || d.Attempt != cur.Attempt || id == "" || id == kept.Data[d.Volume] {
			continue
		}
		st, err := a.storage(plans.Volume{Driver: d.Driver}, id)
		if err != nil {
			continue
		}
		if bytes, err := st.Written(ctx, id, d.ID); err == nil {
			if e.Record.Measured == nil {
				e.Record.Measured = map[string]reconcile.Measured{}
			}
			e.Record.Measured[id] = reconcile.Measured{Since: d.ID, Bytes: bytes, AtMost: st.Traits().AtMost, At: a.now()}
		}
	}
}

// Restore takes a person's word on this host that the data of a tenant go back to
// a snapshot. Granted needs allowLocal; without it only the question is opened,
// which a decision answers. When it returns nil the word is written down.
func (a *Agent) Restore(tenant, snapshot string, granted bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.engine.members[tenant]
	switch {
	case m == nil:
		return refused(fmt.Sprintf("no tenant %q", tenant), "reconcile status lists the tenants")
	case granted && !a.cfg.AllowLocal:
		return notAllowed()
	}
	return a.order(m, func(w *words) { w.Snapshot, w.Granted = snapshot, granted })
}
