package reconcile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// DataNode is one dataset or snapshot of a tenant in its lineage: what it came
// from, who needs it, and until when.
type DataNode struct {
	observed.Dataset
	// Use says who needs it, in words: "serves", "kept for the way back", …
	Use string `json:"use"`
	// Until is when it goes by its retention; zero: not as long as Use holds.
	Until time.Time `json:"until,omitzero"`
	// Held says what keeps it though its time is over.
	Held string `json:"held,omitempty"`
	// Stuck is what could not be done with it, and when that is tried again.
	Stuck *Stuck `json:"stuck,omitempty"`
	// Left is what was written to it since its origin, -1 if not known: what going
	// back to that snapshot leaves behind.
	Left int64 `json:"left"`
	// AtMost says that Left is a bound: its storage counts changed files whole.
	AtMost bool `json:"atMost,omitempty"`
	// Restorable says that the data can go back to it.
	Restorable bool `json:"restorable,omitempty"`
	// Children are the snapshots of a dataset, and the clones of a snapshot.
	Children []DataNode `json:"children,omitempty"`
}

// Lineage draws the data of a tenant as trees, by volume: datasets, their
// snapshots, and the clones of those.
func Lineage(in Input, rec Record) []DataNode {
	m := begin(in, rec)
	fates := map[string]leaving{}
	for _, l := range m.leavings() {
		fates[l.set.ID] = l
	}
	known := map[string]bool{}
	for i := range m.seen.Datasets {
		known[m.seen.Datasets[i].ID] = true
	}
	var grow func(parent string) []DataNode
	grow = func(parent string) []DataNode {
		var nodes []DataNode
		for i := range m.seen.Datasets {
			d := &m.seen.Datasets[i]
			if d.Origin != parent && (parent != "" || known[d.Origin]) {
				continue
			}
			n := m.node(d, fates[d.ID])
			n.Children = grow(d.ID)
			nodes = append(nodes, n)
		}
		slices.SortStableFunc(nodes, func(a, b DataNode) int {
			return cmp.Or(strings.Compare(a.Volume, b.Volume), a.Created.Compare(b.Created))
		})
		return nodes
	}
	nodes := grow("")
	for i := range m.doomed {
		nodes = append(nodes, m.node(&m.doomed[i], leaving{}))
	}
	slices.SortStableFunc(nodes, func(a, b DataNode) int { return strings.Compare(a.Volume, b.Volume) })
	return nodes
}

func (m *machine) node(d *observed.Dataset, fate leaving) DataNode {
	n := DataNode{Dataset: *d, Left: -1, Until: fate.until}
	n.Clones, n.Holds = slices.Clone(d.Clones), slices.Clone(d.Holds)
	if n.Use = m.use(d); d.Doomed {
		n.Use = "being destroyed"
	}
	switch {
	case n.Use != "":
	case d.Role == observed.Origin:
		n.Use = "snapshot, " + cmp.Or(fate.why, "of attempt "+d.Attempt)
		n.Restorable = m.noRestore(d.ID) == ""
	case m.graces():
		n.Use = "left of the removed tenant"
	case d.Role == observed.Discarded:
		n.Use = "given up"
	default:
		n.Use = "used by nothing"
	}
	if m.graces() && !d.Doomed {
		if n.Until = (time.Time{}); m.retention().Final.Count == 0 {
			n.Until = m.graceEnds(d)
		}
	}
	if s, stuck := m.rec.Stuck[d.ID]; stuck {
		n.Stuck = &s
	}
	if !n.Until.IsZero() && !m.now.Before(n.Until) {
		n.Held = m.neededBy(d)
	}
	return n
}

// use says which version works on a dataset, "" if none does.
func (m *machine) use(d *observed.Dataset) string {
	var uses []string
	for _, v := range []struct {
		v    *Version
		what string
	}{{m.rec.Current, "serves"}, {m.rec.Kept, "kept for the way back"}, {m.rec.Idle, "of the named idle slot"}} {
		if v.v == nil || !m.sharesData(v.v, d.ID) {
			continue
		}
		what := v.what + " (" + short(v.v.Generation) + " in " + string(v.v.Slot)
		if v.v == m.rec.Kept && !m.rec.KeptUntil.IsZero() {
			what += ", until " + stamp(m.rec.KeptUntil)
		}
		uses = append(uses, what+")")
	}
	if a := m.rec.Attempt; a != nil && len(uses) == 0 && strings.TrimSuffix(d.Attempt, "r") == a.ID {
		uses = append(uses, "of the attempt under way ("+a.ID+")")
	}
	if len(uses) == 0 && d.Role != observed.Origin && d.Role != observed.Discarded {
		for name, data := range plans.Sorted(m.rec.Data) {
			if data.Dataset == d.ID {
				uses = append(uses, "the data of volume "+name)
			}
		}
	}
	return strings.Join(uses, "; ")
}
