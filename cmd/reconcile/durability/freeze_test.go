package durability

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
)

// frozen is a plan whose ledger is copied while it is written, by a driver that
// copies, and is brought to rest for it.
func frozen(freeze, thaw, timeout string) plan {
	return plan{mode: "replay", soak: "1h, keep: stopped",
		volume: fmt.Sprintf(", freeze: {service: app, command: [/serve, %s], thaw: [/serve, %s], timeout: %s}", freeze, thaw, timeout)}
}

// onFolders leaves a story out where the data are on ZFS.
func onFolders(t *testing.T) {
	t.Helper()
	if vm.Inside() {
		t.Skip("plays on plain directories, on the host")
	}
}

// A writer under load is upgraded on copies of its data: each is one of data at
// rest, no request fails, and the writer goes on.
func TestFrozenProcess(t *testing.T) { onHost(t, workshop.Process, "freeze, port", 3) }

// The same in containers, where a hook is a container of its own.
func TestFrozenDocker(t *testing.T) { onHost(t, workshop.Docker, "freeze", 1) }

// On ZFS a snapshot is of one moment and needs no hook; one that is there all the
// same is played.
func TestFrozenOnZFS(t *testing.T) {
	vm.Only(t)
	inGoodTime(t)
	t.Parallel()
	newWorld(t, frozen("freeze, port", "thaw", "2m")).atRest(1)
}

func onHost(t *testing.T, runtime, freeze string, upgrades int) {
	onFolders(t)
	t.Parallel()
	newWorldOn(t, runtime, frozen(freeze, "thaw", "20s")).atRest(upgrades)
}

func (w *world) atRest(upgrades int) {
	w.t.Helper()
	w.release("1.0", nil)
	w.pass(0)
	run := w.press(map[load.Kind]int{load.Post: 2, load.Get: 1, load.Fresh: 1})
	for n := range upgrades {
		old := w.explain().Record.Data["ledger"].Dataset
		w.upgrade(fmt.Sprintf("2.%d", n))
		w.wasAtRest(old)
	}
	w.tells("volume ledger of ant is at rest for its snapshot")
	w.tells("volume ledger of ant is thawed, after ")
	result := run.Stop()
	if result.Failed() > 0 {
		w.t.Errorf("%s: %q", result, result.Errors())
	}
	w.t.Log(result)
}

// A hook that goes wrong ends the upgrade: what serves is thawed, serves on and
// keeps what it acknowledged, and it is said what the hook said.
func TestFrozenFailsProcess(t *testing.T) { goesWrong(t, workshop.Process) }

func TestFrozenFailsDocker(t *testing.T) { goesWrong(t, workshop.Docker) }

func goesWrong(t *testing.T, runtime string) {
	onFolders(t)
	t.Parallel()
	w := newWorldOn(t, runtime, frozen("freeze", "thaw", "20s"))
	w.release("1.0", nil)
	w.pass(0)
	run := w.press(map[load.Kind]int{load.Post: 2, load.Get: 1, load.Fresh: 1})
	for n, wrong := range []struct{ freeze, thaw, timeout, why string }{
		{"freeze, fail", "thaw", "20s", "the freeze of volume ledger ended with exit status 1: writer: told to fail after it"},
		{"freeze, hang", "thaw", "1s", "the freeze of volume ledger did not end within 1s"},
		{"freeze", "thaw, fail", "20s", "the thaw of volume ledger ended with exit status 1: writer: told to fail after it"},
	} {
		w.plan.volume = frozen(wrong.freeze, wrong.thaw, wrong.timeout).volume
		w.release(fmt.Sprintf("2.%d", n), nil)
		r := w.pass(3)
		t.Logf("%s, %s: undone in %s", wrong.freeze, wrong.thaw, r.Took)
		w.answers("1.0")
		w.said("explain", wrong.why)
		w.tells(wrong.why)
		w.goesOn(w.explain().Record.Data["ledger"].Dataset)
	}
	result := w.unharmed(run)
	t.Log(result)
}

// Killed while the ledger is at rest, the reconciler goes on where it was: the
// writes that waited for it are done, and the copy is whole.
func TestFrozenKilled(t *testing.T) {
	onFolders(t)
	t.Parallel()
	w := newWorldOn(t, workshop.Process, frozen("freeze", "thaw", "20s"))
	w.release("1.0", nil)
	w.pass(0)
	run := w.press(map[load.Kind]int{load.Post: 2, load.Get: 1, load.Fresh: 1})
	for n, at := range []struct {
		boundary string
		sealed   bool
	}{
		{"quiesce/snapshot/before", true},
		{"quiesce/snapshot/after", true},
		{"quiesce/remove/before", false}, // thawed, and nobody noted it yet
	} {
		old := w.explain().Record.Data["ledger"].Dataset
		w.release(fmt.Sprintf("2.%d", n), nil)
		r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:" + at.boundary})
		w.must(err)
		if !r.Killed {
			t.Fatalf("the upgrade did not come by %s\n%s%s", at.boundary, r.Stdout, r.Stderr)
		}
		if _, err := os.Stat(filepath.Join(w.dataset(old).Path, "seal")); at.sealed && err != nil {
			t.Errorf("killed at %s the ledger is not at rest: %v", at.boundary, err)
		}
		w.pass(0)
		w.answers(fmt.Sprintf("2.%d", n))
		w.wasAtRest(old)
	}
	result := run.Stop()
	if result.Failed() > 0 {
		t.Errorf("%s: %q", result, result.Errors())
	}
	t.Log(result)
}

// The plan takes a release back that was killed on its way, while its freeze is at
// work and while its snapshot is taken: what serves is thawed, and serves on.
func TestFrozenTakenBack(t *testing.T) {
	onFolders(t)
	t.Parallel()
	w := newWorldOn(t, workshop.Process, frozen("freeze, hang", "thaw", "1m"))
	w.release("1.0", nil)
	w.pass(0)
	run := w.press(map[load.Kind]int{load.Post: 2, load.Get: 1, load.Fresh: 1})
	ledger := w.explain().Record.Data["ledger"].Dataset
	seal := filepath.Join(w.dataset(ledger).Path, "seal")
	sealed := func() bool { _, err := os.Stat(seal); return err == nil }
	for n, at := range []struct{ freeze, boundary string }{
		{"freeze, hang", "quiesce/start/after"},
		{"freeze", "quiesce/snapshot/before"},
	} {
		w.plan.volume = frozen(at.freeze, "thaw", "1m").volume
		w.release(fmt.Sprintf("2.%d", n), nil)
		r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:" + at.boundary})
		w.must(err)
		if !r.Killed {
			t.Fatalf("the upgrade did not come by %s\n%s%s", at.boundary, r.Stdout, r.Stderr)
		}
		w.until("the ledger is at rest", sealed)
		_, err = w.Revert(w.ctx)
		w.must(err)
		w.pass(0)
		w.answers("1.0")
		w.goesOn(ledger)
	}
	w.tells("volume ledger of ant is thawed")
	result := w.unharmed(run)
	t.Log(result)
}

// The service dies while its ledger is at rest, and nobody looks: the one that is
// started in its place knows nothing of the freeze. What would be copied then is
// not used, and nobody's release is to blame.
func TestFrozenDies(t *testing.T) {
	onFolders(t)
	t.Parallel()
	w := newWorldOn(t, workshop.Process, frozen("freeze", "thaw", "20s"))
	w.release("1.0", nil)
	w.pass(0)
	w.post("/count?id=1", "1")
	ledger := w.explain().Record.Data["ledger"].Dataset
	w.release("2.0", nil)
	r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:quiesce/snapshot/before"})
	w.must(err)
	if !r.Killed {
		t.Fatalf("the upgrade did not come to its snapshot\n%s%s", r.Stdout, r.Stderr)
	}
	all, err := w.Processes()
	w.must(err)
	for _, p := range all {
		if strings.HasPrefix(p.Command, "reconcile-shim run ant/") {
			w.must(syscall.Kill(p.PID, syscall.SIGKILL))
		}
	}
	// It tries again by itself, after a pause that is not waited for here.
	d, err := w.Daemon(w.ctx)
	w.must(err)
	w.until("the attempt is undone", func() bool { return strings.Contains(w.events(), "tenant.restored") })
	w.must(d.Stop())
	w.tells("service app ended while volume ledger was at rest for its snapshot; nobody's release is to blame")
	w.answers("1.0")
	w.goesOn(ledger)
	w.post("/count?id=2", "2")
	w.holds([]string{"1", "2"})
}

// events is what is told of ant.
func (w *world) events() string {
	w.t.Helper()
	r, err := w.Run(w.ctx, "events", "--tenant", "ant")
	w.must(err)
	return r.Stdout
}

// tells wants an event to say a word.
func (w *world) tells(word string) {
	w.t.Helper()
	if got := w.events(); !strings.Contains(got, word) {
		w.t.Errorf("no event says %q:\n%s", word, got)
	}
}

// goesOn wants the writer on a dataset to write, and no one-shot instance to be
// left.
func (w *world) goesOn(dataset string) {
	w.t.Helper()
	e := w.explain()
	for _, in := range e.Facts.Instances {
		if in.Key.Service != "app" {
			w.t.Errorf("left behind: %s", in.Key)
		}
	}
	if _, err := os.Stat(filepath.Join(w.dataset(dataset).Path, "seal")); !os.IsNotExist(err) {
		w.t.Errorf("the ledger is still sealed: %v", err)
	}
}

// wasAtRest wants a copy made for the upgrade from a dataset to be one of data at
// rest, and the writer on the dataset to have gone on.
func (w *world) wasAtRest(dataset string) {
	w.t.Helper()
	e := w.explain()
	origin := w.dataset(e.Record.Data["ledger"].Dataset).Origin
	if origin == "" {
		w.t.Fatalf("the ledger is no clone: %+v", e.Facts.Datasets)
	}
	copied := w.dataset(origin).Path
	if of, snap, zfs := strings.Cut(origin, "@"); zfs {
		copied = filepath.Join(filepath.Dir(w.dataset(of).Path), ".zfs/snapshot", snap, "data")
	}
	ledger, err := os.ReadFile(filepath.Join(copied, "ledger"))
	w.must(err)
	seal, err := os.ReadFile(filepath.Join(copied, "seal"))
	w.must(err)
	if want := fmt.Sprintf("%x", sha256.Sum256(ledger)); string(seal) != want {
		w.t.Errorf("the ledger that was copied has digest %s, and was sealed with %s", want, seal)
	}
	w.goesOn(dataset)
}
