package agent

import (
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// TestFiguresOfALookCount: a snapshot that takes nothing by itself is not shown
// with the size of all that is in it; what the look did not tell is asked for.
func TestFiguresOfALookCount(t *testing.T) {
	s := shelves{size: map[string]int64{"told": 7 * gib, "untold": 3 * gib}}
	a := &Agent{hands: hands{storages: map[string]drivers.Storage{"zfs": s}, defaultStorage: "zfs", places: newPlaces()}}
	nodes := []reconcile.DataNode{
		{Dataset: observed.Dataset{ID: "told", Role: observed.Origin, Ready: true, Bytes: 0}},
		{Dataset: observed.Dataset{ID: "untold", Role: observed.Live, Ready: true, Bytes: -1}},
		{Dataset: observed.Dataset{ID: "half made", Role: observed.Live, Bytes: -1}},
	}
	a.figures(t.Context(), nodes, "")
	if nodes[0].Bytes != 0 || nodes[1].Bytes != 3*gib || nodes[2].Bytes != -1 {
		t.Errorf("shown as %d, %d and %d bytes", nodes[0].Bytes, nodes[1].Bytes, nodes[2].Bytes)
	}
}
