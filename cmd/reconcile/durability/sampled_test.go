package durability

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
)

// sampled is how many kinds of boundary of an upgrade the short form kills at, one
// after the other in the same upgrade.
const sampled = 4

// The short form of the kills: through an upgrade and a failing one the reconciler
// dies at some boundaries, spread evenly over all that such an upgrade comes by and
// others in each run. It ends as it does where nobody is killed, and every
// acknowledged number is there.
func TestSampledKills(t *testing.T) {
	vm.Only(t)
	if *soak {
		t.Skip("the long forms kill at every boundary")
	}
	w := newWorld(t, plan{mode: "quiesce", more: oneKept})
	w.release("1.0", nil)
	w.pass(0)
	run := w.press(map[load.Kind]int{load.Post: 2, load.Get: 1})
	file := filepath.Join(w.Dir, "boundaries")
	for n, story := range []struct {
		name   string
		env    map[string]string
		within string
		exit   int
	}{{"upgrade", nil, "", 0}, {"failing upgrade", map[string]string{"FAIL": "health"}, "3s", 3}} {
		w.plan.within = story.within
		w.release(fmt.Sprintf("2.%d", n), story.env)
		w.killed("note:"+file, story.exit)
		want, met := w.outline(), w.inOrder()
		w.must(os.Remove(file))
		w.release(fmt.Sprintf("3.%d", n), story.env)
		var died []string
		for _, at := range sample(met, sampled) {
			r, err := w.RunWith(w.ctx, []string{"RECONCILE_CHAOS=at:" + at})
			w.must(err)
			if !r.Killed {
				break // what is left of it has no such boundary any more
			}
			died = append(died, at)
		}
		w.pass(story.exit)
		if got := w.outline(); plainSlots(got) != plainSlots(want) {
			t.Errorf("%s killed at %s ends differently:\nwithout:\n%s\nwith:\n%s", story.name, died, want, got)
		}
		if len(died) < sampled/2 {
			t.Errorf("%s: killed at %q only, of %d kinds of boundaries", story.name, died, len(met))
		}
		t.Logf("%s: killed at %d of %d kinds of boundaries: %s", story.name, len(died), len(met), strings.Join(died, " "))
	}
	result := w.unharmed(run)
	t.Logf("%d numbers acknowledged, all of them there; longest wait of a write %s; %s", len(result.Posted), result.Kinds[load.Post].Slowest, result)
}

// sample takes n of all, at even distances and from a random one on.
func sample(all []string, n int) []string {
	step := max(len(all)/n, 1)
	var some []string
	for i := rand.IntN(step); i < len(all) && len(some) < n; i += step {
		some = append(some, all[i])
	}
	return some
}

// inOrder are the kinds of boundaries a world came by, each where it came first.
func (w *world) inOrder() []string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.Dir, "boundaries"))
	w.must(err)
	var all []string
	for line := range strings.Lines(string(b)) {
		if name, _, _ := strings.Cut(line, "\t"); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
