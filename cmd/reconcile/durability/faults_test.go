package durability

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// What the driver says to each fault is shown by its own tests; here it is what
// becomes of a tenant that serves.

// A clone that somebody promoted, a snapshot that somebody holds and a mount that
// somebody uses stand in the way of cleaning up only.
func TestHandsOfOthers(t *testing.T) {
	vm.Only(t)
	w := newWorld(t, plan{mode: "quiesce", soak: "1h, keep: stopped", more: "  retention: {preUpgrade: {for: 1s}, discarded: {for: 1s}}\n"})
	w.release("1.0", nil)
	w.pass(0)
	w.post("/count?id=1", "1")
	w.release("1.1", nil)
	w.pass(0)
	w.post("/count?id=2", "2")

	current := w.explain().Record.Data["ledger"].Dataset
	snapshot := w.zfs("get", "-H", "-o", "value", "origin", current)
	w.zfs("promote", current)
	name := snapshot[strings.Index(snapshot, "@"):]
	w.zfs("hold", "somebody", current+name)
	release := busy(t, w.dataset(current).Path)
	w.release("1.2", nil)
	w.pass(0)
	w.answers("1.2")
	w.post("/count?id=3", "3")
	w.release("1.3", nil)
	w.pass(0)
	w.answers("1.3")
	if got := w.told(); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("the ledger is %q", got)
	}
	if !strings.Contains(w.zfs("list", "-H", "-r", "-t", "snapshot", "-o", "name", w.pool), name) {
		t.Errorf("the snapshot %s, which somebody holds, is gone", name)
	}
	w.said("data", "held by somebody")
	if w.zfs("get", "-H", "-o", "value", "mounted", current) != "yes" {
		t.Errorf("%s, which somebody uses, is not mounted any more", current)
	}
	w.until("what is in use is to go", func() bool {
		_, err := w.Run(w.ctx)
		w.must(err)
		return strings.Contains(w.events(), current+" of ant cannot be destroyed")
	})
	w.tells("busy")
	w.said("data", "busy")
	release()
}

// A dataset of somebody else has the very name that the clone of an upgrade would
// get: the old version serves again, it is said which dataset is in the way, which
// stays as it is, and once it is moved away the upgrade is made.
func TestForeignInTheWay(t *testing.T) {
	vm.Only(t)
	t.Parallel()
	w := newWorld(t, plan{mode: "quiesce"})
	w.release("1.0", nil)
	w.pass(0)
	w.post("/count?id=1", "1")
	old := w.explain().Record.Data["ledger"].Dataset
	w.release("1.1", nil)
	const middle = "quiesce/snapshot/after"
	r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:" + middle})
	w.must(err)
	if !r.Killed {
		t.Fatalf("the upgrade did not come by %s\n%s%s", middle, r.Stdout, r.Stderr)
	}
	attempt := w.zfs("list", "-H", "-r", "-d", "1", "-t", "snapshot", "-o", "reconcile:attempt", old)
	theirs := old[:strings.LastIndex(old, "/")] + "/ant.ledger.green." + attempt
	w.zfs("create", theirs)
	precious := func() string {
		return filepath.Join(w.zfs("get", "-H", "-o", "value", "mountpoint", theirs), "precious")
	}
	w.must(os.WriteFile(precious(), []byte("theirs"), 0o600))

	w.pass(3)
	w.answers("1.0")
	w.post("/count?id=2", "2")
	w.tells("clone " + theirs + ": there is a dataset of this name that is not ours")
	w.said("explain", "there is a dataset of this name that is not ours")
	w.said("explain", theirs)
	if got := w.explain().Record.Data["ledger"].Dataset; got != old {
		t.Errorf("the old version serves on %s, not on %s", got, old)
	}

	away := w.pool + "/theirs"
	w.zfs("rename", theirs, away)
	theirs = away
	d, err := w.Daemon(w.ctx)
	w.must(err)
	c, err := agent.Dial(w.ctx, w.State)
	w.must(err)
	defer c.Close()
	w.must(c.Retry(w.ctx, "ant"))
	w.until("with the name free the upgrade is made", func() bool { return w.version() == "1.1" })
	w.must(d.Stop())
	w.post("/count?id=3", "3")
	w.holds([]string{"1", "2", "3"})
	if b, err := os.ReadFile(precious()); err != nil || string(b) != "theirs" {
		t.Errorf("what another keeps in %s is %q, %v", theirs, b, err)
	}
}

// busy has a process that is nobody's business sit in a folder until it is
// released.
func busy(t *testing.T, dir string) (release func()) {
	t.Helper()
	cmd := exec.Command("sleep", "3600")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by that kill
	})
	t.Cleanup(release)
	return release
}

// The pool goes away in the middle of an upgrade, where the old version is stopped
// and its last snapshot taken, and comes back: it is said what is missing, nothing
// is taken for gone, and the upgrade goes on where it was.
func TestPoolExported(t *testing.T) {
	vm.Only(t)
	t.Parallel()
	small := smallPool(t)
	w := newWorldAt(t, plan{mode: "quiesce"}, small+"/data")
	w.release("1.0", nil)
	w.pass(0)
	w.post("/count?id=1", "1")
	w.release("1.1", nil)
	const middle = "quiesce/snapshot/after"
	r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:" + middle})
	w.must(err)
	if !r.Killed {
		t.Fatalf("the upgrade did not come by %s\n%s%s", middle, r.Stdout, r.Stderr)
	}
	w.export(small)
	r, err = w.Run(w.ctx)
	w.must(err)
	if r.Exit == 0 || !strings.Contains(r.Stdout+r.Stderr, "zpool import") {
		t.Errorf("without its pool reconcile ends with status %d, and does not say how to import it:\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	w.run("zpool", "import", "-d", "/disk", small)
	w.pass(0)
	w.answers("1.1")
	w.post("/count?id=2", "2")
	w.holds([]string{"1", "2"})
}

// Another pool of the host is away: who has nothing in it is upgraded as ever.
func TestOtherPoolAway(t *testing.T) {
	vm.Only(t)
	t.Parallel()
	small := smallPool(t)
	w := newWorld(t, plan{mode: "quiesce"})
	config, err := os.ReadFile(w.File)
	w.must(err)
	w.must(os.WriteFile(w.File, []byte(strings.Replace(string(config), "roots: [", "roots: ["+small+", ", 1)), 0o600))
	w.release("1.0", nil)
	w.pass(0)
	w.post("/count?id=1", "1")
	w.export(small)
	w.release("1.1", nil)
	w.pass(0)
	w.answers("1.1")
	w.post("/count?id=2", "2")
	w.holds([]string{"1", "2"})
	w.run("zpool", "import", "-d", "/disk", small)
}

// An upgrade on a pool that is nearly full does not begin; the old version serves
// and keeps what it acknowledged, and with space the upgrade goes on.
func TestFullPool(t *testing.T) {
	vm.Only(t)
	t.Parallel()
	w := newWorldAt(t, plan{mode: "quiesce"}, smallPool(t)+"/data")
	w.release("1.0", nil)
	w.pass(0)
	w.post("/count?id=1", "1")
	filler := filepath.Join(w.mountpoint(), "filler")
	w.fill(filler, 99)
	w.release("1.1", nil)
	r, err := w.Run(w.ctx)
	w.must(err)
	if r.Exit == 0 || !strings.Contains(r.Stdout, "MiB free for volume ledger") {
		t.Errorf("reconcile ended with status %d, and does not say what is short:\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	w.answers("1.0")
	if got := w.told(); !slices.Equal(got, []string{"1"}) {
		t.Errorf("the ledger is %q", got)
	}
	w.must(os.Remove(filler))
	w.run("zpool", "sync")
	// It tries again by itself, at the time it said.
	w.until("with space the upgrade goes on", func() bool {
		r, err := w.Run(w.ctx)
		w.must(err)
		return r.Exit == 0
	})
	w.answers("1.1")
	w.holds([]string{"1"})
}

// After a reboot nobody has loaded the key yet: nothing is started on an empty
// folder, and with the key everything is there.
func TestKeyNotLoaded(t *testing.T) {
	vm.Only(t)
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a pass phrase"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorldAt(t, plan{mode: "quiesce"}, "tank/locked",
		"-o", "encryption=on", "-o", "keyformat=passphrase", "-o", "keylocation=file://"+key)
	w.release("1.0", nil)
	w.pass(0)
	w.post("/count?id=1", "1")
	w.release("1.1", nil)
	w.pass(0) // a clone of encrypted data works as any other
	w.post("/count?id=2", "2")

	w.must(w.Wreck(w.ctx))
	for name := range strings.Lines(w.zfs("list", "-H", "-r", "-t", "filesystem", "-o", "name", w.pool)) {
		// A parent takes along what is mounted below it.
		if name = strings.TrimSpace(name); w.zfs("get", "-H", "-o", "value", "mounted", name) == "yes" {
			w.zfs("unmount", name)
		}
	}
	w.zfs("unload-key", "-r", w.pool)
	r, err := w.Run(w.ctx)
	w.must(err)
	if r.Exit == 0 {
		t.Errorf("reconcile is content without the key:\n%s%s", r.Stdout, r.Stderr)
	}
	if !strings.Contains(r.Stdout+r.Stderr, "load-key") {
		t.Errorf("it does not say how to load the key:\n%s%s", r.Stdout, r.Stderr)
	}
	if _, err := w.Ask(w.ctx, host, "/"); err == nil {
		t.Error("something serves without the key")
	}
	w.zfs("load-key", "-r", w.pool)
	d, err := w.Daemon(w.ctx)
	w.must(err)
	w.until("with the key it goes on", func() bool { return w.version() == "1.1" })
	w.must(d.Stop())
	w.holds([]string{"1", "2"})
}

// smallPool makes a pool of its own, on a file, that a story may fill. The stories
// of what is away wait for most of their time, and go side by side.
func smallPool(t *testing.T) string {
	t.Helper()
	name := fmt.Sprint("small", worlds.Add(1))
	file := "/disk/" + name + ".img"
	for _, words := range []string{"truncate -s 320M " + file, "zpool create -f -m /" + name + " " + name + " " + file} {
		if out, err := exec.Command("sh", "-c", words).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", words, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("sh", "-c", "zpool destroy -f "+name+" && rm "+file).CombinedOutput(); err != nil {
			t.Errorf("destroy the small pool: %v\n%s", err, out)
		}
	})
	return name
}

// export takes a pool away. For the moment in which an instance starts, of any tenant,
// it has all mounts of the host, and the pool is busy.
func (w *world) export(pool string) {
	w.t.Helper()
	w.until("no mount is left of pool "+pool, func() bool {
		out, err := exec.CommandContext(w.ctx, "zpool", "export", pool).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "busy") {
			w.t.Fatalf("zpool export %s: %v\n%s", pool, err, out)
		}
		return err == nil
	})
}

func (w *world) mountpoint() string { return w.zfs("get", "-H", "-o", "value", "mountpoint", w.pool) }

// fill takes space until the pool is as full as said, in percent of what can be
// had.
func (w *world) fill(file string, percent int) {
	w.t.Helper()
	var used, free int64
	if _, err := fmt.Sscan(w.zfs("get", "-H", "-p", "-o", "value", "used,available", w.pool), &used, &free); err != nil {
		w.t.Fatal(err)
	}
	take := (used+free)*int64(percent)/100 - used
	w.run("dd", "if=/dev/urandom", "of="+file, "bs=1048576", fmt.Sprint("count=", take>>20))
	w.run("zpool", "sync")
}

func (w *world) run(name string, args ...string) {
	w.t.Helper()
	if out, err := exec.CommandContext(w.ctx, name, args...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
