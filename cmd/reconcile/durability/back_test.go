package durability

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// Within the soak the way back is the old slot on its old data.
func TestBackInSoak(t *testing.T) { goBack(t, "1h, keep: stopped") }

// After the soak it is a clone of the snapshot taken before the upgrade.
func TestBackAfterRetire(t *testing.T) { goBack(t, "0s") }

// filling is how many bytes are written after the upgrade, and which a way back
// has to name beforehand.
const filling = 8 << 20

// overhead is what a file system adds to filling of its own: metadata, and a
// ledger of a few lines. A block of ZFS is at most 128 KiB, and some are rewritten.
const overhead = 1 << 20

func goBack(t *testing.T, soak string) {
	w := newWorld(t, plan{mode: "quiesce", soak: soak})
	w.release("1.0", nil)
	w.pass(0)
	before := []string{"1", "2", "3"}
	for _, n := range before {
		w.post("/count?id="+n, n)
	}
	w.release("1.1", nil)
	w.pass(0)
	w.answers("1.1")
	w.post("/count?id=4", "4")
	w.post(fmt.Sprint("/fill?bytes=", filling), "")

	snapshot := w.wayBack()
	cost := w.cost(snapshot)
	if cost.Bytes < filling || cost.Bytes > filling+overhead {
		t.Errorf("going back is said to leave %d bytes behind, and %d were written", cost.Bytes, filling)
	}
	if w.pool != "" {
		if got := w.zfs("get", "-H", "-p", "-o", "value", "written@"+snapshot, cost.Dataset); got != fmt.Sprint(cost.Bytes) {
			t.Errorf("zfs says %s bytes were written, reconcile %d", got, cost.Bytes)
		}
	}
	r, err := w.Run(w.ctx, "rollback", "ant", "--data", snapshot, "--local")
	w.must(err)
	if r.Exit != 0 {
		t.Fatalf("rollback --data ended with status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	if got := w.ledger(); !slices.Equal(got, before) {
		t.Errorf("after going back the ledger is %q, want %q", got, before)
	}
	w.post("/count?id=5", "5")
	if got := w.told(); !slices.Equal(got, append(before, "5")) {
		t.Errorf("it goes on with %q", got)
	}
	// What was left behind is still there for a person who wants it.
	left := w.dataset(cost.Dataset)
	b, err := os.ReadFile(filepath.Join(left.Path, "ledger"))
	if err != nil || strings.Join(strings.Fields(string(b)), " ") != "1 2 3 4" {
		t.Errorf("what was left behind, %+v, holds %q, %v", left, b, err)
	}
	t.Logf("going back was said to leave %d bytes behind; %d were written, and the metadata of a few files", cost.Bytes, filling)
}

// wayBack is the snapshot that `reconcile data` marks as the newest to go back to.
func (w *world) wayBack() string {
	w.t.Helper()
	r, err := w.Run(w.ctx, "data", "ant", "-o", "json")
	w.must(err)
	var l agent.Lineage
	if err := json.Unmarshal([]byte(r.Stdout), &l); err != nil {
		w.t.Fatalf("data: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	var newest reconcile.DataNode
	var walk func([]reconcile.DataNode)
	walk = func(nodes []reconcile.DataNode) {
		for _, n := range nodes {
			if n.Restorable && n.Created.After(newest.Created) {
				newest = n
			}
			walk(n.Children)
		}
	}
	walk(l.Data)
	if newest.ID == "" {
		w.t.Fatalf("there is no way back of the data:\n%s", r.Stdout)
	}
	return newest.ID
}

// cost is what going back to a snapshot is said to leave behind.
func (w *world) cost(snapshot string) agent.Cost {
	w.t.Helper()
	r, err := w.Run(w.ctx, "rollback", "ant", "--data", snapshot, "--dry-run", "-o", "json")
	w.must(err)
	var result struct{ Leaves []agent.Cost }
	if err := json.Unmarshal([]byte(r.Stdout), &result); err != nil || len(result.Leaves) != 1 {
		w.t.Fatalf("rollback --dry-run: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return result.Leaves[0]
}
