package outcomes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/plans"
)

// A container that bears our name and not our mark is named and left alone;
// other tenants go on, and once it is gone so does this one.
func foreignContainer(t *testing.T) {
	w := newWorld(t, engine, nil)
	f := w.of(fleet{tenants: []string{"ant", "bee"}})
	name := docker.Name(w.fleet.name, plans.Key{Tenant: "ant", Slot: plans.Blue, Service: "app"})
	w.docker("pull", "-q", f.image)
	id := w.docker("create", "--name", name, f.image)
	w.commit("two tenants", f.files())
	w.pass(3, "blocked  ant: an object that is not ours bears a name it needs: container "+name, "remove or rename container "+name)
	w.is(outcome{state: "heldBack", reason: "blocked", says: []string{name}})
	w.is(outcome{tenant: "bee", state: "converged", serves: "1.0"})
	if now := w.docker("inspect", "-f", "{{.Id}} {{.State.Status}}", name); now != id+" created" {
		t.Errorf("the foreign container was touched: %s", now)
	}
	w.docker("rm", name)
	w.pass(0)
	w.is(outcome{state: "converged", serves: "1.0"})
}

// So is a directory of instances that is not ours.
func foreignInstance(t *testing.T) {
	w := newWorld(t, process, nil)
	f := w.of(fleet{tenants: []string{"ant", "bee"}})
	dir := filepath.Join(w.State, "process", "instances", "ant.blue.app")
	w.inTheWay(dir, f, "an object that is not ours bears a name it needs: "+dir, "remove or rename "+dir)
	w.is(outcome{tenant: "bee", state: "converged", serves: "1.0"})
}

// And what is where data shall be.
func foreignVolume(t *testing.T) {
	w := newWorld(t, process, nil)
	f := w.of(fleet{volume: "{access: many, onUpgrade: share, source: data}"})
	file := filepath.Join(w.State, "volumes", "data")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("of somebody else"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.commit("ant", f.files())
	says := []string{file, "not a directory", "move it away, or give another source"}
	w.pass(3, append(says, "blocked  ant: ")...)
	w.is(outcome{state: "heldBack", reason: "failed", says: says})
	if b, err := os.ReadFile(file); err != nil || string(b) != "of somebody else" {
		t.Errorf("what is not ours was touched: %q, %v", b, err)
	}
}

// inTheWay puts a directory where ours shall be.
func (w *world) inTheWay(dir string, f fleet, says ...string) {
	w.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "precious"), []byte("of somebody else"), 0o644); err != nil {
		w.Fatal(err)
	}
	before := tree(w, dir, nil)
	w.commit("tenants", f.files())
	w.pass(3, append(says, "blocked  ant: ")...)
	w.is(outcome{state: "heldBack", reason: w.status("ant").Reason, says: says})
	if m := moved(before, tree(w, dir, nil)); len(m) > 0 {
		w.Errorf("what is not ours was touched: %q", m)
	}
	if err := os.Rename(dir, filepath.Join(w.Dir, "saved")); err != nil {
		w.Fatal(err)
	}
	// What failed for it waits for a person's word; what was only blocked goes on.
	if q := w.status("ant").Question; q != nil {
		w.commit("it is out of the way", map[string]string{"retry.yaml": decision(q.ID, "retry")})
	}
	w.pass(0)
	w.is(outcome{state: "converged", serves: "1.0"})
}

// A route somebody else made is left alone, and one that has our host name is
// named.
func foreignRoute(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{tenants: []string{"bee"}})
	stray := plans.Entry{Tenant: "stray", Slot: plans.Blue, Routes: []plans.EntryRoute{
		{Host: "ant.example.com", Path: "/", Address: map[plans.Slot]string{plans.Blue: "127.0.0.1:9"}},
	}}
	if err := w.EditRoute(w.ctx, stray, 0); err != nil {
		t.Fatal(err)
	}
	w.commit("ant comes", map[string]string{"ant.yaml": tenant("ant", "")})
	w.pass(3, "blocked  ant: ", "ant.example.com", "stray")
	w.is(outcome{state: "heldBack", reason: "failed", says: []string{"ant.example.com", "stray"}})
	w.is(outcome{tenant: "bee", state: "converged", serves: "1.0"})
	got := w.table().Routes["stray"].Entry
	if len(got.Routes) != 1 || got.Slot != plans.Blue || got.Routes[0].Address[plans.Blue] != "127.0.0.1:9" {
		t.Errorf("the stray route was touched: %+v", got)
	}
}
