package durability

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
)

// inGoodTime leaves a story out that starts the reconciler hundreds of times, on a
// processor that takes a second for each.
func inGoodTime(t *testing.T) {
	t.Helper()
	if vm.Slow() && !*soak {
		t.Skip("on an emulated processor this is a long form (-soak); on the host it runs on plain directories")
	}
}

// mostKills bounds how often one pass is begun again after it was killed.
const mostKills = 300

// killed makes one pass, again and again where chaos has it killed, and wants
// its exit status.
func (w *world) killed(chaos string, want int) (r stage.Result, kills int) {
	w.t.Helper()
	for ; kills < mostKills; kills++ {
		var err error
		r, err = w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=" + chaos})
		w.must(err)
		if !r.Killed {
			break
		}
	}
	if r.Killed || r.Exit != want {
		w.t.Fatalf("after %d kills reconcile ended with status %d, not %d\n%s%s", kills, r.Exit, want, r.Stdout, r.Stderr)
	}
	return r, kills
}

// The reconciler is killed at every boundary as it comes, through an upgrade and
// through one that fails: both end as they do where nobody is killed, and every
// acknowledged number is there.
func TestChainedKill(t *testing.T) {
	inGoodTime(t)
	t.Parallel()
	calm := newWorld(t, plan{mode: "quiesce", within: within(), more: oneKept})
	drill := newWorld(t, plan{mode: "quiesce", within: within(), more: oneKept})
	want, none := calm.life("note:" + filepath.Join(calm.Dir, "boundaries"))
	got, kills := drill.life("chain:" + filepath.Join(drill.Dir, "boundaries"))
	t.Logf("killed %d times at %d kinds of boundaries", kills, len(drill.boundaries()))
	for i := range want {
		if want[i] != got[i] {
			t.Errorf("it ends differently where the reconciler was killed:\nwithout kills:\n%s\nwith kills:\n%s", want[i], got[i])
		}
	}
	if met := len(calm.boundaries()); none != 0 || kills < met {
		t.Errorf("killed %d times, where a life without kills meets %d kinds of boundaries", kills, met)
	}
}

// oneKept leaves the same behind however many attempts it took.
const oneKept = "  retention: {preUpgrade: {count: 1}, discarded: {count: 1}}\n"

// within is what a version that never becomes healthy takes of each run.
func within() string {
	if vm.Slow() {
		return "30s"
	}
	return "3s"
}

// life plays an upgrade and a failing one, and says how each ended.
func (w *world) life(chaos string) (ends []string, kills int) {
	w.t.Helper()
	w.release("1.0", nil)
	w.pass(0)
	run := w.crowd()
	for _, story := range []struct {
		version, serves string
		env             map[string]string
		exit            int
	}{
		{"1.1", "1.1", nil, 0},
		{"1.2", "1.1", map[string]string{"FAIL": "health"}, 3},
	} {
		w.release(story.version, story.env)
		r, n := w.killed(chaos, story.exit)
		kills += n
		w.answers(story.serves)
		ends = append(ends, fmt.Sprintf("exit %d\n%s", r.Exit, w.outline()))
	}
	result := w.unharmed(run)
	w.t.Logf("longest wait of a write %s; %s", result.Kinds[load.Post].Slowest, result)
	return ends, kills
}

// outline is how ant and its data are, without ids and times.
func (w *world) outline() string {
	w.t.Helper()
	e := w.explain()
	lines := []string{fmt.Sprintf("%s %s active %s", e.Status.State, e.Status.Reason, e.Status.ActiveSlot)}
	for _, in := range e.Facts.Instances {
		lines = append(lines, fmt.Sprintf("instance %s %s", in.Key, in.Phase))
	}
	current := e.Record.Data["ledger"].Dataset
	for _, d := range e.Facts.Datasets {
		lines = append(lines, fmt.Sprintf("dataset role %s, a clone %v, current %v", d.Role, d.Origin != "", d.ID == current))
	}
	lines = append(lines, fmt.Sprintf("attempt under way %v, something withheld %v", e.Record.Attempt != nil, len(e.Record.Withheld) > 0))
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

// boundaries are the kinds a world came by, sorted.
func (w *world) boundaries() []string {
	w.t.Helper()
	all := w.inOrder()
	slices.Sort(all)
	return all
}

// One run for each kind of boundary of an upgrade and of a failing one: killed
// there once, the next pass ends as if nothing had happened.
func TestSingleKills(t *testing.T) {
	inGoodTime(t)
	t.Run("upgrade", func(t *testing.T) { singleKills(t, "", nil, 0) })
	t.Run("failing upgrade", func(t *testing.T) { singleKills(t, "3s", map[string]string{"FAIL": "health"}, 3) })
}

// singleKills kills the reconciler once at each kind of boundary of such an upgrade.
func singleKills(t *testing.T, within string, env map[string]string, exit int) {
	t.Parallel()
	w := newWorld(t, plan{mode: "quiesce", more: oneKept})
	w.release("1.0", nil)
	w.pass(0)
	run := w.crowd()
	w.plan.within = within
	version := 0
	release := func() {
		version++
		w.release(fmt.Sprintf("2.%d", version), env)
	}
	release() // the first of its kind may have something to retire
	w.pass(exit)
	release()
	w.killed("note:"+filepath.Join(w.Dir, "boundaries"), exit)
	want, met := w.outline(), w.boundaries()
	if *onlyAt != "" {
		met = strings.Split(*onlyAt, ",")
	}
	var missed []string
	for _, at := range met {
		release()
		r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:" + at})
		w.must(err)
		if !r.Killed {
			missed = append(missed, at)
		}
		w.pass(exit)
		got := w.outline()
		if plainSlots(got) != plainSlots(want) {
			// What cannot be destroyed yet is nothing that a pass waits for.
			t.Logf("killed at %s: another pass, for %s", at, w.leftover())
			w.pass(exit)
			got = w.outline()
		}
		if plainSlots(got) != plainSlots(want) {
			t.Errorf("killed at %s it ends differently:\nwithout:\n%s\nwith:\n%s", at, want, got)
		}
	}
	// Only a wait may be over before its boundary comes.
	for _, at := range missed {
		if !strings.Contains(at, "/commit/") || len(missed) > 4 {
			t.Errorf("never killed at %s, though another run came by it", at)
		}
	}
	t.Logf("killed at each of %d kinds of boundaries but %q: %s", len(met), missed, strings.Join(met, " "))
	t.Log(w.unharmed(run))
}

// leftover says why data that are of no use any more are still there.
func (w *world) leftover() string {
	w.t.Helper()
	e := w.explain()
	why := []string{e.Status.Why}
	for _, d := range e.Facts.Datasets {
		if s, stuck := e.Record.Stuck[d.ID]; stuck {
			why = append(why, d.ID+" "+s.Text())
		}
		if d.Busy {
			why = append(why, d.ID+" is busy")
		}
	}
	return strings.Join(why, "; ")
}

// plainSlots names slots by what they do: which one it is changes with each
// upgrade.
func plainSlots(text string) string {
	if strings.Contains(text, "active green") {
		text = strings.NewReplacer("blue", "green", "green", "blue").Replace(text)
	}
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
