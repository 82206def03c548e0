package outcomes

import (
	"os"
	"path/filepath"
	"testing"
)

// A tenant whose file is gone without a tombstone keeps serving and is asked
// about; the tombstone removes it and keeps its data for the grace.
func vanished(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}})
	before := w.started("ant")
	w.commit("ant's file is lost", map[string]string{"ant.yaml": ""})
	w.pass(3, "blocked  ant: it is not in the plan any more and has no tombstone", "keep: leave it running as it is", "remove: stop and remove it")
	w.is(outcome{state: "heldBack", reason: "vanished", serves: "1.0", says: []string{"put it back, write removed: true, or answer the question"}})
	w.same("ant", before)
	w.kill("ant")
	w.pass(3)
	w.answers("ant", "1.0") // like any other

	w.commit("ant may go", map[string]string{"ant.yaml": tenant("ant", "removed: true")})
	w.pass(0, "the data are destroyed at")
	if pid := w.serving("ant"); pid != 0 {
		t.Errorf("ant is removed and process %d runs", pid)
	}
	if _, err := w.Ask(w.ctx, "ant.example.com", "/"); err == nil {
		t.Error("ant is removed and its host name is answered")
	}
	w.is(outcome{state: "removing", says: []string{"nothing runs any more; its data are kept for the grace"}})
	kept, err := filepath.Glob(filepath.Join(w.State, "volumes", "*ant*"))
	if err != nil || len(kept) == 0 {
		t.Errorf("nothing of ant's data is kept in %s: %v %v", w.State, kept, err)
	}
	for _, dir := range kept {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	w.is(outcome{tenant: "bee", state: "converged", serves: "1.0"})
}

// More tombstones in one commit than the prune budget remove nothing until a
// person has answered.
func overBudget(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}, budget: 1, volume: "none"})
	w.commit("both go", map[string]string{
		"ant.yaml": tenant("ant", "removed: true"), "bee.yaml": tenant("bee", "removed: true"),
	})
	w.pass(3, "the plan removes 2 tenants, more than the prune budget of 1", "ant, bee", "remove: ")
	w.answers("ant", "1.0")
	w.answers("bee", "1.0")
	q := w.status("ant").Question
	if q == nil {
		t.Fatal("no question is asked")
	}
	w.commit("yes, both go", map[string]string{"yes.yaml": decision(q.ID, "remove")})
	w.pass(0)
	for _, name := range []string{"ant", "bee"} {
		if _, err := w.Ask(w.ctx, name+".example.com", "/"); err == nil {
			t.Errorf("%s is removed and its host name is answered", name)
		}
	}
}
