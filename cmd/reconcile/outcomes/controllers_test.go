package outcomes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// A second state directory on a host whose first controller is at work is
// refused by the lock, whoever comes second.
func atWork(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{})
	d := w.daemon()
	before := w.started("ant")
	second := w.second()
	second.pass(1, "process ", "has it open since", "reconcile --state "+w.State+" status")
	w.same("ant", before)
	w.is(outcome{state: "converged", serves: "1.0"})
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
}

// Where nobody holds the lock, because the other controller sees another /run,
// the id beside the route table tells: what is there is served and repaired,
// nothing new is started, and a person is asked. The answer makes it ours.
func otherController(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{})
	d := w.daemon()
	second := w.second()
	before := w.started("ant")
	second.elsewhere = true
	second.pass(3, "the route table belongs to controller", "adopt: take over what is here as ours")
	w.same("ant", before)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	table := w.table()
	if first := controller(t, w.State); table.Controller != first {
		t.Errorf("the second controller took the route table over: %s, was %s", table.Controller, first)
	}

	w.upgrade("1.1")
	second.pass(3, "blocked  ant: the route table belongs to controller "+table.Controller, "adopt: take over what is here as ours")
	second.kill("ant")
	second.pass(3, "the route table belongs to controller")
	w.answers("ant", "1.0") // repaired, and not upgraded
	second.adopt("1.1")
}

// A journal that is lost with everything else in place: nothing is started or
// stopped for it, the question is asked, and the answer makes it whole without
// touching what runs.
func lostJournal(t *testing.T)       { loseJournal(t, process) }
func lostJournalDocker(t *testing.T) { loseJournal(t, engine) }

func loseJournal(t *testing.T, runtime string) {
	w := newWorld(t, runtime, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}})
	before := w.started("ant")
	for _, name := range []string{"journal.db", "events"} {
		if err := os.RemoveAll(filepath.Join(w.State, name)); err != nil {
			t.Fatal(err)
		}
	}
	says := []string{"objects of this fleet are on this host and the journal does not know them", "adopt: take over what is here as ours"}
	w.pass(3, append(says, "blocked  ant: ")...)
	w.is(outcome{state: "heldBack", reason: "blocked", serves: "1.0", says: append(says, "nothing new is started")})
	w.same("ant", before)
	was := w.fleet.image
	w.upgrade("1.1")
	w.pass(3, says...)
	w.same("ant", before)
	w.answers("bee", "1.0")

	w.fleet.image = was
	w.template("back to what is there")
	w.kill("ant")
	w.pass(3, says...)
	w.answers("ant", "1.0")

	before = w.started("ant")
	q := w.status("ant").Question
	if q == nil {
		t.Fatal("no question is asked")
	}
	w.commit("adopt what is there", map[string]string{"adopt.yaml": decision(q.ID, "adopt")})
	w.pass(0)
	w.same("ant", before)
	w.is(outcome{state: "converged", serves: "1.0"})
	w.is(outcome{tenant: "bee", state: "converged", serves: "1.0"})
	w.upgrade("1.1")
	w.pass(0)
	w.answers("ant", "1.1")
	w.answers("bee", "1.1")
}

// adopt answers the question of a world, and wants it to go on to a version.
func (w *world) adopt(version string) {
	w.Helper()
	q := w.status("ant").Question
	if q == nil {
		w.Fatal("no question is asked")
	}
	w.commit("adopt what is there", map[string]string{"adopt.yaml": decision(q.ID, "adopt")})
	w.pass(0)
	w.is(outcome{state: "converged", serves: version})
	table := w.table()
	if mine := controller(w, w.State); table.Controller != mine {
		w.Errorf("the route table belongs to %s, not to %s which adopted it", table.Controller, mine)
	}
}

// second is another controller of the same host: a state directory of its own,
// and all else shared with the first.
func (w *world) second() *world {
	w.Helper()
	s, first := *w.Stage, w.State
	s.State, s.File = filepath.Join(w.Dir, "state2"), filepath.Join(w.Dir, "config2.yaml")
	text, err := os.ReadFile(w.File)
	if err != nil {
		w.Fatal(err)
	}
	config := strings.Replace(string(text), "state: "+first, "state: "+s.State, 1)
	config = strings.Replace(config, "  caddy:\n", fmt.Sprintf("  process: {root: %[1]s/process}\n  dir: {root: %[1]s/volumes}\n  caddy:\n    state: %[1]s/caddy\n    admin: %[1]s/caddy/admin.sock\n", first), 1)
	if err := os.WriteFile(s.File, []byte(config), 0o600); err != nil {
		w.Fatal(err)
	}
	return &world{Stage: &s, TB: w.TB, ctx: w.ctx, fleet: w.fleet, host: w.Stage}
}

// run runs reconcile, in a mount namespace with a /run of its own where the
// world is elsewhere.
func (w *world) run(args ...string) stage.Result {
	w.Helper()
	if !w.elsewhere {
		r, err := w.Run(w.ctx, args...)
		if err != nil {
			w.Fatal(err)
		}
		return r
	}
	cmd := w.Command(context.WithoutCancel(w.ctx), args...)
	inner := append([]string{"-m", "--propagation", "private", "sh", "-c", `mount -t tmpfs tmpfs /run && exec "$@"`, "sh"}, cmd.Args...)
	return w.runs(exec.Command("unshare", inner...))
}

func (w *world) runs(cmd *exec.Cmd) stage.Result {
	w.Helper()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		w.Fatal(err)
	}
	return stage.Result{Exit: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: errs.String(), Took: time.Since(began)}
}

// controller is the id of a state directory.
func controller(t testing.TB, state string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(state, "controller"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
